"""Alarms: what can be wrong with the use that a model makes of its latents, and what to try.

    collapse       z tells nothing of x
    idle_latents   most dimensions are the same for every x
    autoencoder    q(z|x) is next to a point: z is a place in a table, and what lies between the places means nothing

Source: Bowman et al., Generating Sentences from a Continuous Space, 2016, and Burda et al., 2016, section 5.2, for the
first two; Alemi et al., Fixing a Broken ELBO, 2018, for the last.
"""

from vae_pipeline.metrics.usage import Usage

EXAMPLES = 1000  # that are looked at, at most
INFORMATION, RATE = 0.1, 0.05  # nats, under which z tells nothing
SHARE = 0.05  # of the dimensions, under which most are idle
VARIANCE = 1e-4  # of q(z|x), under which it is next to a point


def alarms_of(used: Usage, rate: float, latents: int) -> dict[str, str]:
    """The alarms that there is reason for, each with what it means."""
    found = {}
    if used.mutual_information < INFORMATION or rate < RATE:
        found["collapse"] = (
            f"the latents tell nothing of the data (mutual information {used.mutual_information:.2g} nats, "
            f"rate {rate:.2g} nats): try a lower beta, a warm_up, free_bits or a normalised_gaussian posterior"
        )
    elif used.active_units < SHARE * latents:
        found["idle_latents"] = (
            f"{used.active_units} of {latents} latent dimensions are active: try fewer latents, free_bits, "
            "a lower beta or a warm_up"
        )
    if used.posterior_variance is not None and used.posterior_variance < VARIANCE:
        found["autoencoder"] = (
            f"posteriors are next to points (variance {used.posterior_variance:.2g} in the active dimensions), so that "
            "the space between them means nothing: try a higher beta or fewer latents"
        )
    return found

"""The bounds on the evidence, and what they are made of."""

from vae_pipeline.recipe.figures.figure import VALUES, Figure, SummaryColumn

BOUNDS = (
    Figure(
        "elbo", "ELBO", "Evidence lower bound, −(distortion + rate), at beta = 1 whatever beta trained.",
        "headline", unit="nats", better="higher", column=SummaryColumn("ELBO", dispensable=0),
        beside=(("baseline_elbo", "independent values, without z {}"),),
    ),
    Figure(
        "distortion", "Distortion",
        "−log p(x | z) at a z drawn from the posterior: what is left to say of {a_noun} once z is known.",
        "headline", unit="nats", better="lower", column=SummaryColumn("distortion", dispensable=4),
        beside=(("entropy_floor", "entropy floor {}"),),
        cross_entropy="Cross-entropy of {a_noun} from its reconstruction, at a z drawn from the posterior; the entropy "
        "floor is the least that any reconstruction reaches.",
    ),
    Figure(
        "rate", "Rate",
        "KL(q(z | x) ‖ p(z)): how far the posterior is from the prior, and so the most that z can tell of {a_noun}. "
        "Neither high nor low is better in itself.",
        "headline", unit="nats", column=SummaryColumn("rate", dispensable=1),
        beside=(("mutual_information", "mutual information {}"),),
    ),
    Figure(
        "importance_bound", "Importance bound",
        "The log of the mean of K weights p(x, z) / q(z | x), which rises with K: of all {nouns}, by their ELBO and "
        "what the bound is above it on those that it was taken of.",
        "headline", unit="nats", better="higher", column=SummaryColumn("bound", error=True, dispensable=0),
        beside=(("importance_samples", "K = {}"), ("importance_examples", "taken of {} {nouns}"),
                ("pareto_k_over_0.7", "too long a tail (k̂ over 0.7) for {} of them"),
                ("importance_bounds", "{} at K = {name}")),
    ),
    Figure(
        "pareto_k_over_0.7", "k̂ over 0.7",
        "Share of the {nouns} that the importance bound was taken of whose weights have too long a tail for it: the "
        "shape k̂ of the tail is over 0.7.",
        "bounds", share=True, better="lower", column=SummaryColumn("k̂>0.7", "{:.0%}", dispensable=0),
    ),
    Figure(
        "effective_sample_size", "Effective sample size",
        "(Σw)² / Σw² of the K weights of {a_noun}, as a share of K: how many of its draws count.",
        "bounds", share=True, better="higher", beside=(("importance_samples", "K = {}"),),
    ),
    Figure(
        "scale", "Scale of the likelihood",
        "How far the likelihood lets values lie from their mean, in the units in which the model sees them.",
        "bounds", gate=False,
    ),
    Figure(
        "degrees", "Degrees of freedom",
        "Of Student's t: the fewer, the heavier its tails, from Cauchy's at 1 to nearly a Gaussian's at 1000.",
        "bounds", gate=False,
    ),
    Figure(
        "bits_per_dimension", "Bits per dimension", "−ELBO / (D ln 2), with D values in {a_noun}; of a probability "
        "alone.",
        "headline", unit="bits", better="lower", kinds=VALUES,
    ),
)  # fmt: skip

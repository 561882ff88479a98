"""Figures of what the latents carry, and of how far they are from the prior."""

from vae_pipeline.recipe.figures.figure import Figure, SummaryColumn

LATENTS = (
    Figure(
        "active_units", "Active units",
        "Latent dimensions whose posterior mean varies over the test part by more than 0.01; the others are idle.",
        "headline", column=SummaryColumn("active", "{}/{latents}", dispensable=2),
        beside=(("latents", "of {} latents"),),
    ),
    Figure(
        "codebook_use", "Codebook use",
        "Share of the codes that occur somewhere in the test part; of as many as it has places, where these are fewer.",
        "latents", share=True, better="higher", gate=False, beside=(("codebook_size", "of {} codes"),),
    ),
    Figure(
        "codebook_perplexity", "Codebook perplexity",
        "exp of the entropy of the codes' frequencies over the test part: so many codes that are all as frequent would "
        "tell as much.",
        "latents", gate=False, beside=(("codebook_size", "of {} codes"),),
    ),
    Figure(
        "mutual_information", "Mutual information",
        "What z tells of which {noun} it came from; the set's size caps what can be seen of it. Near 0, the encoder "
        "ignores x.",
        "latents", unit="nats", beside=(("mutual_information_cap", "cap, log N {}"), ("rate", "rate {}")),
    ),
    Figure(
        "decoder_gain", "Decoder gain",
        "By how much {a_noun} is likelier given its own z than given another {noun}'s; at least about the mutual "
        "information where the decoder is as sharp as z allows. Near 0, the decoder ignores z.",
        "latents", unit="nats",
    ),
    Figure(
        "decoder_gain_share", "Share that gains",
        "Share of the {nouns} that their own z explains better than another's: half by chance.",
        "latents", share=True, better="higher",
    ),
    Figure(
        "total_correlation", "Total correlation",
        "How far the latent dimensions depend on each other over the set; 0 if independent.", "latents", unit="nats",
    ),
    Figure(
        "dimensionwise_kl", "Dimension-wise KL",
        "How far each latent dimension's own distribution over the set is from the prior's, summed. Lower is better "
        "for samples.",
        "latents", unit="nats",
    ),
    Figure(
        "aggregate_kl", "Aggregate KL",
        "KL(q(z) ‖ p(z)): how far the aggregate posterior is from the prior that samples are drawn from. Lower is "
        "better for samples.",
        "latents", unit="nats",
    ),
    Figure(
        "aggregate_kl_lower_bound", "Aggregate KL at least",
        "By a mixture of Gaussians that was fitted to latents of training {nouns}: a bound from below on the same "
        "divergence, for all {nouns} that there might be.",
        "latents", unit="nats",
    ),
    Figure(
        "mmd2", "MMD²", "Squared maximum mean discrepancy of posterior draws from the prior; 0 if they are alike.",
        "latents",
    ),
    Figure(
        "mmd2_p_value", "p-value of MMD²",
        "How often draws that are alike would come to as much: near 0, the two are told apart.", "latents",
    ),
    Figure(
        "two_sample_auc", "Two-sample AUC",
        "How well a classifier tells posterior draws from the prior's: 0.5 not at all, 1 always. Nearer 0.5 is better "
        "for samples.",
        "latents",
    ),
)  # fmt: skip

"""Reconstructions and samples of sentences."""

from vae_pipeline.recipe.figures.figure import TEXT, Figure, SummaryColumn

SENTENCES = (
    Figure(
        "perplexity", "Perplexity",
        "exp(−importance bound / tokens), ends counted: between how many equally likely tokens the model is left to "
        "choose.",
        "headline", better="lower", kinds=TEXT, column=SummaryColumn("perplexity", "{:.1f}", dispensable=0),
        beside=(("perplexity_tokens", "of {} tokens"),),
    ),
    Figure(
        "bleu", "BLEU",
        "Of reconstructions with their sentences for references: n-grams of up to four tokens that they have in "
        "common, over all of them together and unsmoothed, from 0 to 1.",
        "sentences", better="higher", kinds=TEXT,
    ),
    Figure(
        "token_accuracy", "Tokens in their place",
        "Share of a sentence's tokens, its end counted, that its reconstruction has in the same place.",
        "sentences", share=True, better="higher", kinds=TEXT,
    ),
    Figure(
        "exact_match", "Exact matches", "Share of reconstructions that are their sentences.",
        "sentences", share=True, better="higher", kinds=TEXT,
    ),
    Figure(
        "distinct_1", "Distinct tokens", "Share of different ones among all tokens of samples.",
        "sentences", share=True, kinds=TEXT,
    ),
    Figure(
        "distinct_2", "Distinct pairs", "Share of different ones among all pairs of neighbours of samples.",
        "sentences", share=True, kinds=TEXT,
    ),
    Figure(
        "self_bleu", "Self-BLEU",
        "Mean BLEU of a sample with 99 others for references: high where samples are alike. Unsmoothed, so that "
        "samples under four tokens count as 0; papers take more references.",
        "sentences", kinds=TEXT,
    ),
    Figure(
        "varied_paths", "Varied paths",
        "Share of 100 paths between two test sentences, five even steps of the latents long, with at least three "
        "different sentences.",
        "sentences", share=True, better="higher", kinds=TEXT,
    ),
    Figure(
        "copied", "Copied", "Share of samples that are sentences of the training part, to the last token.",
        "sentences", share=True, kinds=TEXT,
    ),
)  # fmt: skip

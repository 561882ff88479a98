"""The comments of a recipe that is written: what each choice is for, and what to change when."""

from typing import assert_never

from vae_pipeline.scaffold.facts import AudioFacts, ImageFacts, TableFacts, TextFacts
from vae_pipeline.scaffold.looking.found import Found

EVERY = {
    "objective": "What is minimised: the negative ELBO, distortion + rate in nats an example.",
    "train.max_minutes": "A number ends the run after so many minutes.",
    "train.keep": "The weights of the best validation, not of the last one, are the result.",
    "evaluate": "Gates beside those that always stand are bounds of figures, such as gates: {elbo: {min: -100}}.",
    "export": "Both texts go into the model card; tolerance is the largest difference of a graph from the model.",
}
IMAGES = {
    "data.shape": "Channels (1: grey, 3: colour), height, width. Twice the sides take four times as long.",
    "data.resize": "Pictures of another size: none refuses them, stretch changes proportions, crop cuts the edges, pad "
    "adds a border.",
    "data.labels": "none; folders: the folder's name is the class; paths: its path is; {normal: NAME, masks: none}: "
    "all folders but NAME show anomalies.",
    "data.corrupt": "fail: stop at a picture that can't be decoded; drop: leave it out, and count it.",
    "data.range": "The lowest and the highest value that can occur.",
    "model": "Convolutions of stride 2, as many as leave a map of 7 or more. More latents keep more of an image, and "
    "need more images.",
    "sampler": "New images are decoded from Gaussians that are fitted to the latents of the training part; where they "
    "are to have a class, from those of the class.",
    "train": "More steps draw better where the report's curves still rise; batch fits any computer.",
    "detection": "A score for images that are unlike the training part; null for none.",
}
SCANS = {
    "data.window": "{level: 40, width: 400}, in the units of the scans; stored: the window in each DICOM file; null: "
    "the range that all scans fill.",
    "data.labels": "none; folders: the folder's name is the class; paths: its path is; {column: NAME} of a data.table.",
    "data.patients": "No patient is in two parts. tag: DICOM's PatientID; file: each file is of another patient; or "
    "{folder: 1}, {pattern: '^([^_]+)_'}, {column: NAME} of a data.table.",
    "data.corrupt": "fail: stop at a scan that can't be decoded; drop: leave it out, and count it.",
}
RECORDINGS = {
    "data.rate_hz": "Samples a second, which other rates are brought to; half of it is the highest tone.",
    "data.seconds": "Duration of each; silence is added to a shorter one.",
    "data.longer": "crop: the beginning of longer ones; windows: all of them, in pieces of one part.",
    "data.channels": "mono: the mean of channels; kept: as many as there are, the same number in every recording.",
    "data.labels": "none; folders: the folder's name is the class; paths: its path is; {pattern: '^([a-z]+)_'}: a "
    "piece of the file's name.",
    "data.corrupt": "fail: stop at a recording that can't be read; drop: leave it out, and count it.",
    "model": "A mel spectrogram, computed in the model, and convolutions over it. More latents keep more of a "
    "recording, and need more recordings.",
    "sampler": "New recordings are decoded from Gaussians that are fitted to the latents of the training part; where "
    "they are to have a class, from those of the class.",
    "train": "More steps help where the report's curves still rise.",
    "detection": "A score for recordings that are unlike the training part, such as {score: negative_elbo, draws: 4, "
    "collected: null}; null for none.",
}
ROWS = {
    "data.file": "A path of one file; columns' kinds are read off their values.",
    "data.label": "The column that tells normal rows, and the value that they have there; null where none does.",
    "data.columns": "What a column is where its values don't tell: number, boolean, category, date or ignored.",
    "data.missing": "Texts that stand for a missing value, beside an empty field, NA, null and their like.",
    "data.scaling": "Of numbers: standard (mean and deviation), robust (median and quartiles) or quantile.",
    "data.one_class": "true: anomalies are kept for the test part, and the model learns what is normal alone.",
    "model": "Each column has a family of its own: Gaussian numbers, Bernoulli booleans, categorical categories.",
    "sampler": "New rows are decoded from draws of the prior, a mixture that is learned with the model.",
    "train": "A run of so many steps; more help where the report's curves still rise.",
    "detection": "Rows are scored by their negative ELBO; the validation part sets the threshold.",
}
SENTENCES = {
    "data.tokenizer": "words (the rarest beyond vocabulary are unknown ones), byte_pairs or bytes, fitted to the "
    "training part. split: blanks for text whose signs stand apart already, else signs.",
    "data.limit": "The most tokens of a sentence, its end counted; longer ones are truncated, or long: drop.",
    "model": "Recurrent nets; a posterior whose means are spread over the data can't be ignored. Wider nets want more "
    "sentences.",
    "rate_control": "Free bits: the first nats of each latent cost nothing, so that it comes to tell something.",
    "sampler": "New sentences are decoded from draws of the prior.",
    "train": "More steps help where the validation ELBO still rises.",
    "detection": "Sentences have no detector.",
}
CONTROL = {"rate_control": "The price of the rate rises from 0 to 1 at the beginning, so that latents come into use."}


def comments(found: Found) -> dict[str, str]:
    """Comments by section, or by section and key."""
    match found.facts:
        case ImageFacts():
            return {**EVERY, **CONTROL, **IMAGES, **(SCANS if found.data["kind"] == "scans" else {})}
        case AudioFacts():
            return {**EVERY, **CONTROL, **RECORDINGS}
        case TableFacts():
            return {**EVERY, **CONTROL, **ROWS}
        case TextFacts():
            return {**EVERY, **SENTENCES}
        case _:
            assert_never(found.facts)

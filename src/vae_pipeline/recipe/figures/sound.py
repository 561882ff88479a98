"""Reconstructions and samples of sound."""

from vae_pipeline.recipe.figures.figure import AUDIO, Figure, SummaryColumn

SOUND = (
    Figure(
        "log_spectral_distance", "Log-spectral distance",
        "Root mean square over frequencies of the difference in dB between a reconstruction and its recording, "
        "averaged over frames of about 32 ms; magnitudes under -80 dB of the loudest that can be count as that.",
        "headline", unit="dB", better="lower", kinds=AUDIO,
        column=SummaryColumn("LSD", "{:.1f} dB", dispensable=3), beside=(("si_sdr", "SI-SDR {} dB"),),
    ),
    Figure(
        "spectral_distance", "Multi-resolution spectral distance",
        "Of reconstructions from their recordings, by magnitudes in frames of 64, 256 and 1,024 samples: the relative "
        "distance plus the mean difference of logarithms. It is 0 of equal recordings.",
        "reconstructions", better="lower", kinds=AUDIO,
    ),
    Figure(
        "si_sdr", "SI-SDR",
        "Scale-invariant signal-to-distortion ratio of reconstructions, over the recordings that aren't silent. It "
        "compares waveforms: what sounds alike may be far apart.",
        "reconstructions", unit="dB", better="higher", kinds=AUDIO,
    ),
    Figure(
        "sample_accuracy", "Samples of the right class",
        "Share of samples, as many of each class, that the classifier behind the features takes for the class that was "
        "asked for.",
        "samples", better="higher", kinds=AUDIO, beside=(("feature_accuracy", "test recordings {}"),),
    ),
)  # fmt: skip

"""Reconstructions and samples of sound."""

from vae_pipeline.recipe.figures.figure import AUDIO, DENOISER, Figure, SummaryColumn

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
        "si_sdr_gain", "SI-SDR gained",
        "The SI-SDR of the denoiser's answers less that of the noisy recordings, from the first to the last sample of "
        "each clean one that isn't 0; averaged over recordings that aren't silent.",
        "headline", unit="dB", better="higher", kinds=AUDIO, needs=DENOISER,
        column=SummaryColumn("gain", "{:.1f} dB", dispensable=4),
        beside=(("si_sdr_of_input", "from {} dB"), ("si_sdr_of_denoised", "to {} dB"),
                ("si_sdr_gain_by_level", "at {name} dB {}"), ("denoised_examples", "{} recordings")),
    ),
    Figure(
        "spectral_distance_of_denoised", "Log-spectral distance of the denoised",
        "As the log-spectral distance, of the denoiser's answers and the clean recordings.",
        "reconstructions", unit="dB", better="lower", kinds=AUDIO, needs=DENOISER,
        beside=(("spectral_distance_of_input", "the noisy recordings {} dB"),),
    ),
    Figure(
        "latency_ms", "Latency of the stream",
        "The time by which the graph denoise_stream answers later than it hears, beside the length of a chunk.",
        "reconstructions", unit="ms", better="lower", kinds=AUDIO, needs=DENOISER,
    ),
)  # fmt: skip

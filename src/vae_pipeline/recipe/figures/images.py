"""Reconstructions and samples of images, and those figures of them that sound has too."""

from vae_pipeline.recipe.figures.figure import DENOISER, IMAGE, PERCEIVED, Figure, SummaryColumn

IMAGES = (
    Figure(
        "trained_for", "Trained for",
        "The terms that training minimised: a model of more terms than the objective wasn't trained by the ELBO alone. "
        "Beside them their means over the last epoch's training {nouns}, at a drawn z, and the weights that their "
        "gradients had. The discriminator's loss is 2 where it can't tell, and 0 where it always can.",
        "headline", gate=False, kinds=PERCEIVED, column=SummaryColumn("trained for", "{}", dispensable=5),
        beside=(("perceptual", "perceptual distance {}"), ("perceptual_weight", "its weight {}"),
                ("adversarial", "adversarial term {}"), ("adversarial_weight", "its weight {}"),
                ("discriminator", "discriminator's loss {}")),
    ),
    Figure(
        "psnr", "PSNR",
        "Reconstructions from the posterior's mean against their images, each image's own, averaged.",
        "headline", unit="dB", better="higher", kinds=IMAGE, column=SummaryColumn("PSNR", "{:.1f} dB", dispensable=3),
        beside=(("psnr_of_input", "the corrupted images {}"), ("baseline_psnr", "PCA of as many components {}"),
                ("psnr_of_sample", "from a drawn z {}")),
    ),
    Figure(
        "psnr_of_sample", "PSNR at a drawn z", "As PSNR, of reconstructions from a z drawn from the posterior.",
        "reconstructions", unit="dB", better="higher", kinds=IMAGE,
    ),
    Figure(
        "mse", "MSE", "Mean squared error of reconstructions, on values scaled to [0, 1].",
        "reconstructions", better="lower", kinds=IMAGE,
    ),
    Figure(
        "mse_of_sample", "MSE at a drawn z", "As MSE, of reconstructions from a z drawn from the posterior.",
        "reconstructions", better="lower", kinds=IMAGE,
    ),
    Figure(
        "ssim", "SSIM", "Structural similarity in windows of 11 × 11 pixels; 1 for equal images.",
        "reconstructions", better="higher", kinds=IMAGE, beside=(("ssim_of_input", "the corrupted images {}"),),
    ),
    Figure(
        "psnr_of_denoised", "PSNR of the denoised",
        "The denoiser's answers, the mean over its draws, against the clean images, each image's own, averaged; on "
        "values scaled to [0, 1] and clipped to it.",
        "headline", unit="dB", better="higher", kinds=IMAGE, needs=DENOISER,
        column=SummaryColumn("denoised", "{:.1f} dB", dispensable=4),
        beside=(("psnr_of_input", "the corrupted images {}"), ("psnr_by_level", "noise of {name} {}"),
                ("denoised_examples", "{} images")),
    ),
    Figure(
        "ssim_of_denoised", "SSIM of the denoised", "As SSIM, of the denoiser's answers and the clean images.",
        "reconstructions", better="higher", kinds=IMAGE, needs=DENOISER,
        beside=(("ssim_of_input", "the corrupted images {}"),),
    ),
    Figure(
        "interval_coverage", "Coverage of the intervals",
        "Share of the clean values that lie in the denoiser's intervals, which were set by the validation part; "
        "near the recipe's share is good.",
        "headline", share=True, kinds=PERCEIVED, needs=DENOISER,
        beside=(("coverage_by_level", "noise of {name} {}"), ("coverage_of_unsure", "the widest tenth {}")),
    ),
    Figure(
        "interval_width", "Width of the intervals",
        "Mean width of the denoiser's intervals: of images on values scaled to [0, 1], of sound on [-1, 1].",
        "reconstructions", better="lower", kinds=PERCEIVED, needs=DENOISER,
        beside=(("interval_factor", "quantiles times {}"),),
    ),
    Figure(
        "sharpness", "Sharpness",
        "Variance of the Laplacian of reconstructions over that of their images: under 1 they are blurred.",
        "reconstructions", kinds=IMAGE,
    ),
    Figure(
        "frechet_samples", "Fréchet distance",
        "Of samples from test {nouns}, in the features of a small classifier of our own (so it isn't the FID of "
        "papers). Training {nouns} show about what perfect samples would reach.",
        "headline", better="lower", kinds=PERCEIVED,
        beside=(("frechet_floor", "training {nouns} {}"), ("frechet_reconstructions", "reconstructions {}"),
                ("frechet_prior", "draws of the prior {}")),
    ),
    Figure(
        "frechet_reconstructions", "Fréchet distance of reconstructions",
        "As the Fréchet distance of samples, of reconstructions of test {nouns}.",
        "reconstructions", better="lower", kinds=PERCEIVED,
    ),
    Figure(
        "sampler", "Sampler",
        "What new latents are drawn from: the prior, or what was fitted to the posteriors of the training data. Where "
        "several were tried, their samples are compared with the validation part by the Fréchet distance, and rows "
        "of a table by the AUC of boosted trees that tell them apart.",
        "samples", gate=False,
        beside=(("sampler_components", "{} components"), ("sampler_candidates", "{name} {}")),
    ),
    Figure(
        "samples_sharpness", "Sharpness of samples",
        "Variance of the Laplacian of samples over that of test images: under 1 they are blurred.",
        "samples", kinds=IMAGE,
    ),
    Figure(
        "precision", "Precision", "Share of samples that lie among test {nouns} in feature space.",
        "samples", share=True, better="higher", kinds=PERCEIVED,
    ),
    Figure(
        "recall", "Recall", "Share of test {nouns} that lie among samples: whether all kinds are drawn.",
        "samples", share=True, better="higher", kinds=PERCEIVED,
    ),
    Figure(
        "density", "Density",
        "How many test {nouns}' neighbourhoods a sample lies in, relative to what is expected; near 1 is good.",
        "samples", kinds=PERCEIVED,
    ),
    Figure(
        "coverage", "Coverage", "Share of test {nouns} with a sample in their neighbourhood.",
        "samples", share=True, better="higher", kinds=PERCEIVED,
    ),
    Figure(
        "nearest_neighbour_ratio", "Nearest-neighbour ratio",
        "Distance of samples to the nearest training {noun} over that to the nearest test {noun}: well under 1 means "
        "that training {nouns} are copied.",
        "samples", kinds=PERCEIVED,
    ),
    Figure(
        "nearer_than_any_test", "Nearer than any test image",
        "Share of samples that lie nearer to a training image, of all of them, than every test image does. Well over "
        "what chance makes of it, training images are repeated.",
        "samples", share=True, kinds=IMAGE, beside=(("nearer_than_chance", "by chance {}"),),
    ),
    Figure(
        "nearer_than_most_test", "Nearer than most test images",
        "Share of samples that lie nearer to a training image than 95 % of test images do; 5 % by chance.",
        "samples", share=True, kinds=IMAGE,
    ),
    Figure(
        "half_as_far", "Less than half as far",
        "Share of samples that lie less than half as far from a training image as the nearest test image does.",
        "samples", share=True, kinds=IMAGE,
    ),
    Figure(
        "sample_accuracy", "Samples of the right class",
        "Share of a conditional model's samples, as many of each class, that the classifier behind the features takes "
        "for the class that was asked for. Where it is what chance makes of it, samples don't follow their label.",
        "samples", share=True, better="higher", kinds=PERCEIVED, beside=(("feature_accuracy", "test {nouns} {}"),),
    ),
    Figure(
        "feature_accuracy", "Accuracy of the features",
        "Share of test {nouns} that the classifier behind the features names rightly. The features are as good as it "
        "is.",
        "samples", share=True, gate=False, kinds=PERCEIVED,
    ),
)  # fmt: skip

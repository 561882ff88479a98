"""Anomalies that the detector finds, and alarms that it raises on normal rows."""

from vae_pipeline.recipe.figures.figure import ANOMALIES, IMAGE, VALUES, Figure, SummaryColumn

DETECTION = (
    Figure(
        "auroc", "AUROC",
        "How often an anomaly of the test part has a higher score than a normal {noun}: 0.5 by chance, 1 always.",
        "detection", better="higher", kinds=VALUES, needs=ANOMALIES,
        column=SummaryColumn("AUROC", "{:.3f}", dispensable=0),
        beside=(("anomalies", "{} anomalies"), ("test_examples", "{} normal {nouns}"),
                ("pca_auroc", "error of as many principal components {}"),
                ("knn_auroc", "distance from the five nearest training images {}"),
                ("auroc_by_kind", "{name} alone {}")),
    ),
    Figure(
        "heat_auroc", "AUROC of heat maps",
        "The same, of the mean of the hottest 4 % of each image's heat map in place of its score.",
        "detection", better="higher", kinds=IMAGE, needs=ANOMALIES,
        beside=(("pca_heat_auroc", "principal components {}"), ("knn_heat_auroc", "nearest training images {}")),
    ),
    Figure(
        "pixel_auroc", "AUROC of pixels",
        "How often a pixel within a defect is hotter than one without, over all test images: whether defects are "
        "located.",
        "detection", better="higher", kinds=IMAGE, needs=("detector", "masks"),
        beside=(("pca_pixel_auroc", "principal components {}"), ("knn_pixel_auroc", "nearest training images {}")),
    ),
    Figure(
        "aupro", "AUPRO",
        "Area under the per-region overlap: the share of a defect's region that is found, averaged over regions, small "
        "ones counting as much as large ones, over false-positive rates of pixels up to 0.3; 1 at best.",
        "detection", better="higher", kinds=IMAGE, needs=("detector", "masks"),
        beside=(("pca_aupro", "principal components {}"), ("knn_aupro", "nearest training images {}")),
    ),
    Figure(
        "average_precision", "Average precision",
        "Share of true alarms, averaged over the thresholds at which one anomaly more is found. It depends on how "
        "common anomalies are in the test part.",
        "detection", better="higher", kinds=VALUES, needs=ANOMALIES,
    ),
    Figure(
        "recall_at_fpr_0.001", "Recall at 0.1 % false alarms",
        "Share of anomalies over the threshold that at most one of a thousand normal test {nouns} is over.",
        "detection", share=True, better="higher", kinds=VALUES, needs=ANOMALIES,
    ),
    Figure(
        "recall_at_fpr_0.01", "Recall at 1 % false alarms", "The same, at one of a hundred.",
        "detection", share=True, better="higher", kinds=VALUES, needs=ANOMALIES,
    ),
    Figure(
        "recall_at_fpr_0.05", "Recall at 5 % false alarms", "The same, at one of twenty.",
        "detection", share=True, better="higher", kinds=VALUES, needs=ANOMALIES,
    ),
    Figure(
        "false_alarm_rate_0.01", "False alarms at alpha = 0.01",
        "Share of normal test {nouns} whose p-value is at most 0.01, by thresholds that were set on held-back {nouns} "
        "alone. At most alpha is promised, on average over calibrations of this size.",
        "detection", share=True, kinds=VALUES, needs=("detector",),
        beside=(("calibration_examples", "calibrated on {} {nouns}"),),
    ),
    Figure(
        "false_alarm_rate_0.05", "False alarms at alpha = 0.05", "The same, at 0.05.",
        "detection", share=True, kinds=VALUES, needs=("detector",),
        beside=(("false_alarm_rate_0.05_by_segment", "{name} alone {}"),),
    ),
    Figure(
        "false_alarm_rate_0.1", "False alarms at alpha = 0.1", "The same, at 0.1.",
        "detection", share=True, kinds=VALUES, needs=("detector",),
    ),
)  # fmt: skip

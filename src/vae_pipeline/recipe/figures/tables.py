"""The rows that a model of a table draws."""

from vae_pipeline.recipe.figures.figure import TABLE, Figure

TABLES = (
    Figure(
        "column_shapes", "Column shapes",
        "Mean over columns of 1 less the Kolmogorov-Smirnov statistic of numbers, or less the total variation of "
        "classes, between drawn rows and those of training (SDMetrics' KSComplement and TVComplement).",
        "samples", better="higher", kinds=TABLE,
        beside=(("column_shapes_of_test", "test rows {}"), ("drawn_rows", "{} rows were drawn")),
    ),
    Figure(
        "pair_trends", "Column pairs",
        "Mean over pairs of columns of how alike they go together in drawn rows and in those of training: 1 less half "
        "the difference of two numbers' correlations, or less the total variation of pairs of classes, numbers in ten "
        "bins (SDMetrics' CorrelationSimilarity and ContingencySimilarity).",
        "samples", better="higher", kinds=TABLE, beside=(("pair_trends_of_test", "test rows {}"),),
    ),
    Figure(
        "rows_auc", "AUC of drawn rows",
        "Boosted trees that tell drawn rows from those of training, each row judged by trees that were fitted to "
        "others: 0.5 if they can't, 1 if they always can.",
        "samples", better="lower", kinds=TABLE, beside=(("rows_auc_of_test", "test rows {}"),),
    ),
    Figure(
        "missing_gap", "Gap of missing values",
        "The largest difference of a column's share of missing values between drawn rows and those of training.",
        "samples", share=True, better="lower", kinds=TABLE,
    ),
    Figure(
        "rare_kept", "Rare categories kept",
        "Share of the categories under 1 % of the training rows that drawn rows have at least half and at most twice "
        "as often. Few rows miss some by chance.",
        "samples", share=True, better="higher", kinds=TABLE, beside=(("rare_kept_of_test", "test rows {}"),),
    ),
    Figure(
        "copies", "Copied rows", "Share of drawn rows that are rows of training, to the last digit.",
        "samples", share=True, better="lower", kinds=TABLE, beside=(("copies_of_test", "test rows {}"),),
    ),
    Figure(
        "nearer_to_training", "Nearer to training",
        "Share of drawn rows whose nearest row, among as many of training as of the test part, is one of training: "
        "about half where drawn rows know nothing of single rows, more where they come near to some.",
        "samples", share=True, better="lower", kinds=TABLE, beside=(("nearer_standard_error", "standard error {}"),),
    ),
    Figure(
        "membership_auc", "Membership told",
        "AUROC of telling rows of training from test rows by their distance to the nearest drawn row: 0.5 if the drawn "
        "rows tell nothing of who was trained on.",
        "samples", better="lower", kinds=TABLE, beside=(("membership_standard_error", "standard error {}"),),
    ),
    Figure(
        "disclosure", "Values guessed",
        "Share of values of training rows that are guessed right by somebody who knows all others of the row, and "
        "takes the value of the drawn row that is nearest in these (a number in ten bins). What is guessed of test "
        "rows follows from the population.",
        "samples", share=True, better="lower", kinds=TABLE, beside=(("disclosure_of_test", "test rows {}"),),
    ),
    Figure(
        "epsilon", "Privacy spent",
        "The epsilon of differentially private training, by opacus's accountant: how much may be learned of any one "
        "training row, whatever is done with the model. No other figure of this table is covered by it.",
        "samples", better="lower", kinds=TABLE, gate=False, beside=(("delta", "delta {}"),),
    ),
    Figure(
        "tstr_accuracy", "Accuracy after drawn rows",
        "Share of test rows whose evaluate.target is foretold by classifiers that were trained on drawn rows: the mean "
        "of logistic regression, a random forest and boosted trees.",
        "samples", share=True, better="higher", kinds=TABLE, beside=(("tstr_of_train_accuracy", "after real rows {}"),),
    ),
    Figure(
        "tstr_f1", "F1 after drawn rows",
        "F1 of the rarer class by the same classifiers; of more than two classes the mean over them.",
        "samples", better="higher", kinds=TABLE, beside=(("tstr_of_train_f1", "after real rows {}"),),
    ),
    Figure(
        "tstr_r2", "R² after drawn rows",
        "R² of test rows where evaluate.target is a number: the mean of ridge regression, a random forest and boosted "
        "trees that were trained on drawn rows.",
        "samples", better="higher", kinds=TABLE, beside=(("tstr_of_train_r2", "after real rows {}"),),
    ),
)  # fmt: skip

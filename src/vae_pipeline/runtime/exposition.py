"""A watch as Prometheus reads it: the text exposition format, for node_exporter's textfile collector.

Source: Prometheus, Exposition formats, version 0.0.4.
"""

from vae_pipeline.runtime.watching import Watch


def metrics(watch: Watch, name: str, recipe: str) -> str:
    """The figures after the last batch, each with the labels `watch` and `bundle`."""
    last = watch.last
    rows = (
        ("rows_total", "counter", "Rows that were scored.", watch.rows),
        ("batches_total", "counter", "Batches that were seen.", watch.batches),
        ("row_alarms_total", "counter", "Rows over the threshold of alpha.", watch.row_alarms),
        ("change_alarms_total", "counter", "Alarms of a change.", watch.change_alarms),
        ("alpha", "gauge", "False-alarm rate that the threshold of a row is set for.", watch.rule.alpha),
        ("alarm_share", "gauge", "Share of the last batch's rows over it.", last.alarm_share if last else 0),
        ("evidence", "gauge", "Evidence of a change.", last.evidence if last else 1),
        ("limit", "gauge", "The evidence from which on there is an alarm.", watch.rule.limit),
        ("alarm", "gauge", "1 where the data have changed, else 0.", int(last is not None and last.alarm)),
        ("last_batch_timestamp_seconds", "gauge", "Time of the last batch, since 1970.", watch.last_s),
    )  # fmt: skip
    labels = f'{{watch="{_escaped(name)}",bundle="{_escaped(recipe)}"}}'
    lines = [
        f"# HELP vae_watch_{key} {about}\n# TYPE vae_watch_{key} {kind}\nvae_watch_{key}{labels} {value!r}\n"
        for key, kind, about, value in rows
    ]
    return "".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

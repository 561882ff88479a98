import pytest

from vae_pipeline.system.errors import DownloadError
from vae_pipeline.system.redaction import all_redacted, redacted


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://joe:s3cret@host:9/x", "http://***@host:9/x"),
        ("http://joe:s3@cret@host/x", "http://***@host/x"),
        ("http://joe:s3%40cret@host/x", "http://***@host/x"),
        ("http://joe%3As3cret@host/x", "http://***@host/x"),
        ("http://joe:s3/cr?e#t@host/x (refused)", "http://***@host/x (refused)"),
        ("http://joe:1234@[::1]:80/x", "http://***@[::1]:80/x"),
        ("http://joe:12/34@host/x", "http://***@host/x"),
        ("http://joe:12?34@host/x", "http://***@host/x"),
        ("http://joe:12#34@host:80/x", "http://***@host:80/x"),
        ("http://joe@corp.com:1/2@3@host/x", "http://***@host/x"),
        ('http://joe:it\'s/"34"@host/x', "http://***@host/x"),
        ("https://s3?cr#et@host/x", "https://***@host/x"),
        ("https://ghp_s3cret@host/x?download=1", "https://***@host/x?download=***"),
        ("postgresql+psycopg2://joe:s3cret@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        ("s3://key:s3cret@bucket/x", "s3://***@bucket/x"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=AK%2F2&X-Amz-Signature=s3cret; and more",
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=***&X-Amz-Signature=***; and more",
        ),
        ("https://a.blob.core.windows.net/x?sv=2&sig=s3%2Bcret%3D", "https://a.blob.core.windows.net/x?sv=***&sig=***"),
        ("https://host/x?s3cret", "https://host/x?***"),
        ("https://host/x#access_token=s3cret", "https://host/x#access_token=***"),
        (
            "Max retries exceeded with url: /x?token=s3cret (Caused by",
            "Max retries exceeded with url: /x?token=*** (Caused by",
        ),
        ("'http://joe:s3cret@host/x', 'http://other/y?key=s3cret'", "'http://***@host/x', 'http://other/y?key=***'"),
    ],
)
def test_a_secret_is_hidden_and_the_rest_stays(given, shown):
    assert redacted(given) == shown
    assert redacted(shown) == shown
    assert str(DownloadError(given)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "models:/digits@champion",
        "models:/digits/3",
        "https://host/npm/onnx@1.20/x.js",
        "http://127.0.0.1:5000/#/experiments/1/runs",
        "http://127.0.0.1:5000/a@b",
        "http://[::1]:5000/a@b",
        "http://localhost:5000/a@b",
        "s3://bucket/key",
        "joe@host can't be reached",
        "/data/p?q=1/x.npy isn't there",
    ],
)
def test_what_holds_no_secret_stays(text):
    assert redacted(text) == text


def test_plain_values_are_redacted_to_their_last_text():
    given = {"https://t@h/x": [{"url": "https://h/x?sig=a"}, 1, None, 2.5, True]}
    assert all_redacted(given) == {"https://***@h/x": [{"url": "https://h/x?sig=***"}, 1, None, 2.5, True]}

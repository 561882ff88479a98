import pytest
from tests.training.commands import train_command


@pytest.fixture
def command(lane, smoke, tmp_path):
    def build(out, **options):
        return train_command(lane, smoke, tmp_path, out, **options)

    return build

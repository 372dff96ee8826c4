"""Text from elsewhere doesn't steer the terminal."""

import json
import shutil
from pathlib import Path

import pytest
from programs import call

from mnistexp.cli.console import json_text
from mnistexp.cli.printable import printable

ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m\r\x08\u202e"
STEERING = {*map(chr, range(32)), *map(chr, range(127, 160)), *"\u202a\u202b\u202c\u202d\u202e"} - {"\n", "\t"}


def test_control_characters_are_replaced_and_other_text_is_kept() -> None:
    assert printable(ESCAPES) == "�[31mred�[0m�]0;title��31m���"
    assert printable("é\tβ\n1 😀") == "é\tβ\n1 😀"
    assert printable("half a pair: \ud800") == "half a pair: �"


def test_json_output_escapes_control_characters() -> None:
    text = json_text({"x": ESCAPES})
    assert not STEERING & set(text)
    assert json.loads(text) == {"x": ESCAPES}


@pytest.mark.parametrize(
    "arguments",
    [["runs", "show"], ["runs", "compare", "1", "2"], ["report", "latest", "--format", "x\x1b"], [ESCAPES]],
    ids=["show", "compare", "report", "no command"],
)
def test_commands_print_no_escape_sequences(arguments: list[str], finished: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("train", "summary"):
        folder = Path(shutil.copytree(finished[kind], tmp_path / "runs" / finished[kind].name))
        for name in ("status.json", "metrics.json", "environment.json"):
            document = json.loads((folder / name).read_text()) | {"name": ESCAPES + kind, "cpu": ESCAPES + kind}
            (folder / name).write_text(json.dumps(document))
    done = call(*arguments, cwd=tmp_path)
    assert done.stdout or done.stderr
    assert not STEERING & {*done.stdout, *done.stderr}

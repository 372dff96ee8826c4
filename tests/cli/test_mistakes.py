"""Mistakes that people make at the command line: the answer names the place, and the remedy where one is known."""

import re
import shlex
from pathlib import Path

import pytest
from programs import call

FILES = {
    "lr.yaml": "lr: 0.1\n",
    "optimizer.yaml": "optimizer: adam\n",
    "own.yaml": "optimizer: {name: adam, lr: 0.1}\n",
    "epochs.yaml": "epochs: 3\n",
    "case.yaml": "training: {batchSize: 8}\n",
    "tab.yaml": "training:\n\tepochs: 3\n",
    "windows.yaml": 'data:\n  source: "C:\\Users\\me\\digits.npz"\n',
    "scalar.yaml": "training: 3\n",
    "text.yaml": "training.epochs = 3\n",
    "page.gz": "<html>not found</html>",
    "model.keras": "junk",
    "runs.zip": "junk",
    "empty.npz": "",
}
MISTAKES = {
    # options
    "train --learning_rate 0.1": ["'--learning-rate'"],
    "train --rate 0.1": ["'--learning-rate'"],
    "train --epoch 3": ["'--epochs'"],
    "train --batchsize 3": ["'--batch-size'"],
    "train --momentum 0.9": ["`--set optimizer.momentum=VALUE`"],
    "sweep-optimizer --lr 0.1,0.2": ["`--grid learning_rate=VALUE,VALUE`"],
    "train --lr fast": ["--lr", "'fast' is not a number"],
    "train --lr 0": ["--learning-rate", "optimizer.learning_rate", "0 < value"],
    "train --dropout 50%": ["--dropout", "write 0.5"],
    "train --epochs 1.5": ["--epochs", "'1.5' is not a whole number"],
    "train --validation-fraction 20": ["--validation-fraction", "value < 1"],
    "train --opt adan": ["--opt", "'adam'"],
    "train --opt adam,nadam": ["--opt", "`mnistexp sweep-optimizer --opt adam,nadam`"],
    "train --opt all": ["--opt", "`mnistexp sweep-optimizer --opt all`"],
    "train --opt adam --opt sgd": ["--opt", "'adam'", "'sgd'", "twice"],
    "train --epochs 3 --epochs 4": ["--epochs", "twice"],
    "train --runs-dir ''": ["--runs-dir", "write . for the current one"],
    "runs list --runs-dir lr.yaml": ["--runs-dir", "is a file"],
    "train --name 'my run'": ["--name", "letters, digits"],
    "train --tag 'two words'": ["'two words'", "can't be a tag"],
    "sweep-optimizer --cache --no-cache": ["--cache and --no-cache"],
    "sweep-optimizer --workers all": ["--workers", "'all' is not a whole number"],
    "sweep-optimizer --max-time soon": ["--max-time", "10m"],
    "cache prune --older-than 3": ["'3'", "30d"],
    "serve --port 99999": ["--port", "65535"],
    "reproduce --quick --all-rows": ["--quick", "--all-rows"],
    # settings
    "train --set lr=0.1": ["'optimizer.learning_rate'"],
    "train --set dropuot=0.3": ["'model.dropout'"],
    "train --set epochs 3": ["`--set epochs=3`"],
    "train --set training.epochs:3": ["`training.epochs=3`"],
    "train --set dropout=0.1 --set model.dropout=0.2": ["model.dropout", "twice"],
    "train --config lr.yaml": ["lr.yaml:1", "'optimizer.learning_rate'"],
    "train --config own.yaml": ["own.yaml:1", "'learning_rate'"],
    "train --config optimizer.yaml": ["optimizer.yaml:1", "`optimizer: {name: adam}`", "`--opt adam`"],
    "train --config scalar.yaml --epochs 3": ["scalar.yaml:1", "`training: {epochs: 3}`"],
    "train --config epochs.yaml": ["epochs.yaml:1", "'training.epochs'"],
    "train --config case.yaml": ["case.yaml:1", "'batch_size'"],
    "train --config tab.yaml": ["tab.yaml:2", "indent with spaces"],
    "train --config windows.yaml": ["windows.yaml:2", "single quotes"],
    "train --config text.yaml": ["text.yaml:1", "`key: value`"],
    "train --config epoch.yaml": ["epoch.yaml", "'epochs.yaml'"],
    "train --config tran": ["'train'"],
    f"train --config {'a' * 300}": ["no such file or packaged configuration"],
    "train --config sweep-dropout": ["use mnistexp sweep-dropout"],
    "train --config sweep-optimizer": ["use mnistexp sweep-optimizer"],
    "config init mine --from sweep-droput": ["--from", "'sweep-dropout'"],
    # sweeps
    "sweep-dropout --config sweep-optimizer": ["use mnistexp sweep-optimizer"],
    "sweep-optimizer --config sweep-dropout": ["use mnistexp sweep-dropout"],
    "sweep-optimizer --grid lr=0.1": ["--grid", "'learning_rate'"],
    "sweep-optimizer --grid learning_rate 0.1": ["`--grid learning_rate=0.1`"],
    "sweep-optimizer --grid learning_rate=fast --dry-run": ["--grid", "optimizer.learning_rate", "a number"],
    "sweep-optimizer --grid beta_1=0.1 --grid beta_1=0.2": ["--grid", "optimizer.beta_1", "twice"],
    "sweep-optimizer --set dropout=0.5 --grid dropout=0.1,0.2": ["--set dropout", "use --grid"],
    "sweep-optimizer --opt adma": ["--opt", "'adam'"],
    "sweep-optimizer --opt adam nadam": ["`--opt adam,nadam`"],
    "sweep-optimizer --folds 1": ["--folds", "2 <= value"],
    # commands
    "sweep --opt adam": ["'sweep-optimizer' or 'sweep-dropout'"],
    "sweeps": ["'sweep-optimizer' or 'sweep-dropout'"],
    "sweep-optimiser": ["'sweep-optimizer'?"],
    "trian": ["'train'"],
    "list": ["'runs list'"],
    "run list": ["'runs'"],
    "report": ["'RUN...'", "mnistexp report latest"],
    "bridge tensorboard latest": ["'--output'", "--output events"],
    # files and runs
    "train --data missing.npz": ["'missing.npz'", "embedded"],
    "train --data empty.npz": ["empty.npz", "empty"],
    "train --data page.gz": ["page.gz", "a web page", "download it again"],
    "report latst": ["'latest'"],
    "report latest -o x.docx": ["x.docx", ".html"],
    "report latest --format docx": ["--format", "html, md, pdf, ipynb"],
    "evaluate model.keras": ["'model.keras' is a file", "the folder of a run"],
    "predict model.keras lr.yaml": ["'model.keras' is a file", "the folder of a run"],
    "predict latest three.png --invert true": ["--invert", "auto, yes, no"],
    "evaluate latest --part validation": ["--part", "auto, train, test"],
    "runs import runs.zip": ["runs.zip", "not a zip archive"],
    "runs list --where test_accuracy>": ["--where, column 15"],
    "runs list --where test_acuracy>1": ["--where, column 1", "'test_accuracy'"],
    "runs best --metric test_acuracy": ["--metric", "'test_accuracy'"],
    "runs compare latest": ["at least 2 runs"],
    "runs export latest --output x.xlsx": ["x.xlsx", "csv, json, md, zip"],
    "runs check latest": ["--require", "--baseline"],
    "runs rm": ["latest", "--where"],
    "runs prune": ["--failed", "--older-than"],
    "runs show 999": ["'999'", "of 1 run"],
    f"runs show {'a' * 300}.zip": ["no run"],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, finished: dict[str, Path]) -> Path:
    """A folder with files that are wrong in some way and one run."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "runs").mkdir()
    (folder / "runs" / finished["train"].name).symlink_to(finished["train"])
    return folder


def visible(folder: Path) -> list[Path]:
    """What is in a folder and in its `runs`, without the index of runs."""
    return sorted(path for path in (*folder.iterdir(), *(folder / "runs").iterdir()) if path.name[0] != ".")


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_reported_with_its_place_and_its_fix_and_writes_nothing(line: str, here: Path) -> None:
    before = visible(here)
    done = call(*shlex.split(line), cwd=here)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert [said for said in MISTAKES[line] if said not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr
    assert "a bug" not in done.stderr
    assert visible(here) == before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("runs list --runs-dir nowhere", "no folder nowhere"),
        ("runs list --where 'test_accuracy>2'", "no runs in runs match test_accuracy>2"),
        ("runs path --where 'test_accuracy>2'", "no runs in runs match test_accuracy>2"),
    ],
)
def test_an_empty_list_says_why_on_standard_error(line: str, expected: str, here: Path) -> None:
    done = call(*shlex.split(line), cwd=here)
    assert (done.returncode, done.stdout) == (0, "")
    assert expected in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "train --opt SGD --lr 1e-3 --epochs 1e2 --batch-size 1_6",
        "train --set dropout=0.5 --set epochs=1_000",
        "sweep-optimizer --opt Adam,NADAM --max-time 1h30m",
        "sweep-dropout --grid dropout=0,0.5",
        "sweep-optimizer --grid learning_rate=[0.1,0.2]",
    ],
)
def test_common_spellings_are_accepted(line: str, here: Path) -> None:
    done = call(*shlex.split(line), "--dry-run", "--json", cwd=here)
    assert done.returncode == 0, done.stderr


def test_settings_are_printed_in_short_lines_and_lists_as_lists(here: Path) -> None:
    lines = call("config", "show", "best", cwd=here).stdout.splitlines()
    assert max(map(len, lines)) < 120
    assert any(re.match(r"sweep\.grid\.0\.optimizer\.learning_rate +\[0\.001, ", line) for line in lines)
    listed = call("runs", "list", "--json", cwd=here).stdout
    assert not re.search(r'"\[\d', listed)

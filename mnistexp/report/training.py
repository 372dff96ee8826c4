"""The report of a training: the assignment's questions and the answers from the run folder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnistexp.config import shown
from mnistexp.config.models import ModelConfig
from mnistexp.config.networks import layer_table
from mnistexp.figures import plots
from mnistexp.report.origin import warnings
from mnistexp.report.page import Cell, Fact, Paragraph, Picture, Section, Story, Table, number, percent, thinned
from mnistexp.report.tested import test_sections, unseen_section
from mnistexp.runs.layout import DATA
from mnistexp.runs.results import History, over_all
from mnistexp.runs.stored_runs import StoredRun

TIMES = "\N{MULTIPLICATION SIGN}"


def training_sections(stored: StoredRun) -> list[Section]:
    """Of a finished training. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    return [
        data_section(stored),
        network_section(stored),
        curves_section(found, stored.histories),
        epochs_section(found),
        *test_sections(stored),
        unseen_section(found),
    ]


def training_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of a training tell."""
    return Story("training", *_headline(found), _facts(found), epochs_section(found).blocks)


def _headline(found: Mapping[str, Any]) -> tuple[str, str]:
    """The test accuracy (the mean of repeated trainings) and its confidence interval."""
    right = f"{found['test_correct']} of {found['test_digits']} test digits"
    if repeats := found.get("repeats"):
        spread = (
            "A confidence interval needs at least 3 trainings."
            if repeats["interval"] is None
            else f"95% confidence interval of the mean over seeds: {shown.span(*repeats['interval'])} (Student's t)."
        )
        return (
            f"{shown.percent(repeats['mean'])} test accuracy, mean of {repeats['count']} trainings",
            f"{spread} The saved model, that of the first training, classifies {right} correctly: "
            f"{shown.percent(found['test_accuracy'])}.",
        )
    return (
        f"{right} classified correctly",
        f"Test accuracy {shown.percent(found['test_accuracy'])}, 95% confidence interval "
        f"{shown.span(*found['test_accuracy_interval'])}.",
    )


def accuracy_facts(found: Mapping[str, Any]) -> list[Fact]:
    """The test accuracy; of repeated trainings the mean, and that of the saved model."""
    items = [Fact("test accuracy", shown.percent(found["test_accuracy"]), shown.span(*found["test_accuracy_interval"]))]
    if repeats := found.get("repeats"):
        held = repeats["interval"] and f"{shown.span(*repeats['interval'])} over seeds"
        items = [
            Fact("mean test accuracy", shown.percent(repeats["mean"]), held or f"of {repeats['count']} trainings"),
            Fact("saved model", items[0].value, items[0].note),
        ]
    return items


def _facts(found: Mapping[str, Any]) -> tuple[Fact, ...]:
    told, items = over_all(found), accuracy_facts(found)
    trained = found["early_stopping"]["stopped_at"] if found.get("early_stopping") else [found["epochs"]]
    stops = sorted({stop or found["epochs"] for stop in trained})
    items.append(
        Fact(
            "epochs",
            f"{stops[0]}" if len(stops) == 1 else f"{stops[0]} to {stops[-1]}",
            "" if told["final_loss"] is None else f"loss {told['final_loss']:.4f} at the end",
        )
    )
    if told["min_val_loss"] is not None:
        best, last = told["best_epochs"], told["final_val_loss"]
        ends = "" if last is None else f"{last:.4f} at the end"
        as_good = f"{best['first']} to {best['last']} within 1 SE" if best["first"] != best["last"] else ""
        items.append(Fact("best epoch", f"{told['min_val_loss_epoch']}", as_good))
        items.append(Fact("lowest validation loss", f"{told['min_val_loss']:.4f}", ends))
    return tuple(items)


def data_section(stored: StoredRun) -> Section:
    """The digits and their parts, from `data.json`."""
    about = stored.read_json(DATA)
    parts = {
        "training": (len(about["train"]), "train the network"),
        "validation": (len(about["validation"]), "choose the number of epochs"),
        "test": (len(about["test"]), "measure the accuracy"),
    }
    rows = tuple((Cell(name), number(size, ","), Cell(use)) for name, (size, use) in parts.items() if size)
    return Section(
        "What does the data look like?",
        Paragraph(
            f"{about['digits']:,} {_of_what(about)}, each an image of 28 {TIMES} 28 grey values; "
            f"source: {about['source']}. The parts are disjoint.",
            "answer",
        ),
        *([Paragraph(f"Converted while reading: {'; '.join(told)}.")] if (told := about.get("converted")) else []),
        Table("The parts of the data", ("part", "digits", "use"), rows),
        Paragraph(f"SHA-256 of the images: {about['sha256']}"),
    )


def _of_what(about: Mapping[str, Any]) -> str:
    """The classes of the images."""
    names = [str(name) for name in about.get("class_names", ())]
    if not names or names == [str(digit) for digit in range(10)]:
        return "handwritten digits, 0 to 9"
    return f"images of {len(names)} classes ({shown.listed(names, 10)})"


def network_section(stored: StoredRun) -> Section:
    """The network and its training, from the settings."""
    model, training, optimizer = stored.config.model, stored.config.training, stored.config.optimizer.model_dump()
    name, drops = optimizer.pop("name"), f"Dropout rate {model.dropout:g} during training."
    return Section(
        "What network was trained, and how?",
        Paragraph(f"{_network(model)} {drops if model.dropout else 'No dropout.'}", "answer"),
        Paragraph(
            f"Optimizer {name} ({shown.settings(optimizer)}), batch size {training.batch_size}; the loss is the "
            "cross-entropy, -log of the probability of the correct digit."
        ),
    )


def _network(model: ModelConfig) -> str:
    if model.kind != "cnn":
        return f"A {model.kind} network: {', '.join(layer.name for layer in layer_table(model))}."
    first, second = model.filters
    return (
        f"A convolutional network: {first} and {second} filters of {model.kernel_size} {TIMES} {model.kernel_size}, "
        f"each followed by 2 {TIMES} 2 max pooling, then a dense layer of {model.dense_units} units and ten softmax "
        "outputs."
    )


def curves_section(found: Mapping[str, Any], histories: Sequence[History]) -> Section:
    """Loss and accuracy over the epochs, as figures and as a table."""
    mean, told = History.mean(histories), over_all(found)
    many = f", mean of {len(histories)} trainings" if len(histories) > 1 else ""
    held_out = "validation" if found["validated_on"] == "validation" else "test"
    comma, diverged = "," if many else "", bool(told["diverged_at"])
    notes = plots.curve_notes(found)
    falls = f"The training loss{many}{comma} {_course(mean.loss, diverged)}."
    if told["min_val_loss"] is not None:
        falls += (
            f" The loss on the {held_out} digits{many}{comma} {_course(mean.val_loss, diverged)}; its minimum is "
            f"{told['min_val_loss']:.4f} in epoch {told['min_val_loss_epoch']}."
        )
    drawn = "Training and validation" if mean.val_loss else "Training"
    lines = f" Lines are means of {len(histories)} trainings, bands their range." if len(histories) > 1 else ""
    return Section(
        "How do the loss curves behave?",
        Paragraph(falls, "answer"),
        Picture(
            "Loss over the epochs",
            f"{drawn} loss over {mean.epochs} epochs.{lines} {falls}",
            _sized(plots.loss_curves(histories, **notes)),
        ),
        Picture(
            "Accuracy over the epochs",
            f"{drawn} accuracy over {mean.epochs} epochs, in per cent.{lines}",
            _sized(plots.accuracy_curves(histories, on_test=notes["on_test"])),
        ),
        history_table(mean, many),
    )


def _course(losses: Sequence[float], diverged: bool) -> str:
    """The first and the last measured value of a curve, and their epochs."""
    known = [(epoch, loss) for epoch, loss in enumerate(losses, start=1) if np.isfinite(loss)]
    if not known:
        return "is not a number in any epoch, because training diverged"
    (first, start), (last, end) = known[0], known[-1]
    course = f"goes from {start:.4f} in epoch {first} to {end:.4f} in epoch {last}"
    if first == last:
        course = f"is {start:.4f} in epoch {first}, the only one measured"
    return f"{course}, and is not a number after the training diverged" if diverged else course


def _sized(figure: Any) -> Any:
    """Narrower than the PNG, so that its text can be read on a phone."""
    figure.set_size_inches(5.2, 3.4)
    return figure


def history_table(history: History, many: str = "") -> Table:
    """The curves as a table; `many` says how many trainings they are the mean of."""
    columns = {name: getattr(history, name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    columns = {name: values for name, values in columns.items() if values}
    chosen = thinned(history.epochs)
    rows = tuple(
        (
            number(epoch + 1),
            *(
                number(values[epoch], ".4f") if name.endswith("loss") else percent(values[epoch])
                for name, values in columns.items()
            ),
        )
        for epoch in chosen
    )
    more = "" if len(chosen) == history.epochs else "A selection of epochs; history.csv lists them all."
    return Table(f"The curves in numbers{many}", ("epoch", *map(shown.name, columns)), rows, folded=True, more=more)


def epochs_section(found: Mapping[str, Any]) -> Section:
    """The best number of epochs, early stopping, and warnings."""
    told = (found[about] for about in ("early_stopping", "lengthened") if found.get(about))
    stopped = tuple(Paragraph(about["sentence"]) for about in told)
    return Section(
        "What is the best number of epochs?",
        Paragraph(over_all(found)["best_epochs"]["sentence"], "answer"),
        *stopped,
        *warnings(found),
    )

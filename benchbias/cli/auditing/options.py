"""The options of `benchbias audit`, and which of them belong to which way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

Texts = list[str] | None
LABEL = "label"  # the column of the true class, where none is named


@dataclass(frozen=True)
class Asked:
    """The command line of an audit, one field an option."""

    file: Annotated[
        str | None, typer.Argument(help="A table of answers (CSV, parquet, JSONL, npz), or the word `plan`.")
    ] = None
    label: Annotated[str | None, typer.Option(help="The column of the true class (default: label).")] = None
    attribute: Annotated[Texts, typer.Option(help="A column whose values are groups; may be repeated.")] = None
    dense: Annotated[Texts, typer.Option(help="The dense model: a column, a file of weights, or a row of a suite.")] = (
        None
    )
    compressed: Annotated[Texts, typer.Option(help="A compressed model, as --dense; may be repeated.")] = None
    cluster: Annotated[
        str | None, typer.Option(help="A column that is equal for copies of one image, frames of one video.")
    ] = None
    identity: Annotated[str | None, typer.Option("--id", help="The column that names each example.")] = None
    join: Annotated[list[Path] | None, typer.Option(help="A further table, joined by --id; may be repeated.")] = None
    classes: Annotated[Path | None, typer.Option(help="A text file of class names, in the order of the outputs.")] = (
        None
    )
    margin: Annotated[float, typer.Option(help="The harm that matters, in points of accuracy.")] = 3.0
    level: Annotated[float, typer.Option(help="The error rate of each bound, and of all `harmed` together.")] = 0.05
    depth: Annotated[int, typer.Option(help="How many attributes are crossed.")] = 2
    gate: Annotated[
        str | None, typer.Option(help="Attributes whose values must be safe to pass, e.g. sex,age (default: all).")
    ] = None
    label_groups: Annotated[bool, typer.Option(help="Whether each label is a group.")] = True
    pool: Annotated[int, typer.Option(min=0, help="Values with fewer than N examples are one group, `(other)`.")] = 0
    fail_if: Annotated[Literal["harmed", "beyond", "undecided"], typer.Option(help="What ends with exit code 3.")] = (
        "harmed"
    )
    undecided: Annotated[
        Literal["fail", "warn", "pass"], typer.Option("--undecided", help="Too little known: exit code 5, or 0.")
    ] = "fail"
    expect_accuracy: Annotated[
        float | None, typer.Option(help="The dense model's known accuracy, in percent: a check.")
    ] = None
    allow: Annotated[Texts, typer.Option(help="The name of a stop that only warns; may be repeated.")] = None
    only_flips: Annotated[
        bool, typer.Option("--label-only-flips", help="Labels may be missing where all answers agree.")
    ] = False
    to_label: Annotated[
        Path | None, typer.Option(help="With --label-only-flips: write the rows that need a label here.")
    ] = None
    labels: Annotated[Path | None, typer.Option(help="With --label-only-flips: the filled sheet of labels.")] = None
    discover: Annotated[
        bool, typer.Option("--discover", help="Look for harmed slices on half of the data; test the rest.")
    ] = False
    feature: Annotated[Texts, typer.Option(help="With --discover: a column to cut slices by; may be repeated.")] = None
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the audit as JSON here (- for standard output).")
    ] = None
    markdown: Annotated[Path | None, typer.Option(help="Write the comment of a pull request here.")] = None
    html: Annotated[Path | None, typer.Option(help="Write a page here that needs no other file.")] = None
    flips: Annotated[Path | None, typer.Option(help="Write a CSV file of the changed answers here.")] = None
    all_groups: Annotated[bool, typer.Option("--all-groups", help="Print every group.")] = False
    model: Annotated[
        str | None, typer.Option(help="The network: torchvision's name, timm:NAME, plugin:NAME, FILE.py:FUNCTION.")
    ] = None
    model_option: Annotated[
        Texts, typer.Option("--model-option", help="An option of the network, name=value; may be repeated.")
    ] = None
    weights_table: Annotated[
        str | None,
        typer.Option("--weights-table", help="The inner table of .pth files that is meant, where a file has it."),
    ] = None
    data: Annotated[str | None, typer.Option(help="A folder of images, or dataset:NAME.")] = None
    table: Annotated[Path | None, typer.Option(help="The table of the images, or of examples to plan for.")] = None
    image: Annotated[str | None, typer.Option(help="The column of the image files (default: image).")] = None
    split: Annotated[str, typer.Option(help="Of dataset:NAME: the split.")] = "test"
    mean: Annotated[
        str | None,
        typer.Option(
            help="Normalisation on the scale 0 to 1, e.g. 0.485,0.456,0.406; one number reads images as grey."
        ),
    ] = None
    std: Annotated[str | None, typer.Option(help="Normalisation, e.g. 0.229,0.224,0.225.")] = None
    resize: Annotated[int | None, typer.Option(help="Pixels of the shorter side after scaling.")] = None
    size: Annotated[
        str | None, typer.Option(help="Pixels of the middle that is cut out: 224, or 224x160 (height, width).")
    ] = None
    crop: Annotated[str | None, typer.Option(help="center, squash or cut.")] = None
    interpolation: Annotated[str | None, typer.Option(help="bilinear, bicubic, nearest, ...")] = None
    channel_order: Annotated[Literal["rgb", "bgr"], typer.Option("--channel-order", help="Of the network's input.")] = (
        "rgb"
    )
    upright: Annotated[bool, typer.Option("--upright", help="Turn images as their cameras say (EXIF).")] = False
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu"
    batch: Annotated[int | None, typer.Option(min=1, help="Images at once (default: 16, on a GPU 64).")] = None
    cache: Annotated[bool, typer.Option(help="Keep the answers below --out, for the next audit.")] = True
    latency: Annotated[bool, typer.Option(help="Measure milliseconds.")] = True
    trust: Annotated[bool, typer.Option("--trust", help="Open exported programs (.pt2), which may run code.")] = False
    suite: Annotated[str | None, typer.Option("-s", "--suite", help="Audit rows of a finished suite.")] = None
    task: Annotated[str | None, typer.Option("-t", "--task", help="The task of the suite.")] = None
    discordance: Annotated[
        float, typer.Option(help="Of plan: the share of answers that will change, above 0 and below 1.")
    ] = 0.02
    out: Annotated[Path, typer.Option("-o", "--out", readable=False, help="The results folder.")] = Path("results")
    config: Annotated[Path | None, typer.Option(help="Of a suite: tables over the shipped ones.")] = None
    plugin: Annotated[list[Path] | None, typer.Option(help="A loose plugin file; may be repeated.")] = None
    data_dir: Annotated[
        Path | None, typer.Option(help="Where raw data lie (default: $BENCHBIAS_DATA, else ./data).")
    ] = None


TABLE = {
    "label",
    "attribute",
    "cluster",
    "identity",
    "join",
    "classes",
    "only_flips",
    "to_label",
    "labels",
    "discover",
    "feature",
    "image",
}
LOOK = {"mean", "std", "resize", "size", "crop", "interpolation", "channel_order", "upright"}
MODELS = LOOK | {
    *("label", "attribute"),
    *("model", "model_option", "weights_table", "data", "table", "image", "split", "device", "batch", "cache"),
    *("latency", "trust", "classes", "cluster", "plugin", "data_dir", "out", "discover", "feature"),
}
SUITE = {"suite", "task", "out", "config", "plugin", "data_dir"}
PLAN = {"table", "discordance", "label", "attribute", "cluster", "margin", "level", "depth", "gate", "json_file"}
EVERY = {
    *("file", "dense", "compressed", "margin", "level", "depth", "gate", "label_groups", "pool"),
    *("fail_if", "undecided", "expect_accuracy", "allow", "json_file", "markdown", "html", "flips", "all_groups"),
}
"""The options of every way but `plan`; those above are of one way each. By the names of parameters."""

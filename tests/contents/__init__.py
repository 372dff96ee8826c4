"""Reads finished run folders as a person does, and holds every number in them against one that is computed here.

records.py     what a run folder holds, read without the package
passages.py    a page, a Markdown text or a terminal's output as short texts, each with the place where it stands
claims.py      which quantities a number may be at which place; a number that no claim names is a fault too
training.py    the quantities of a training and where they are told; also sweep.py, best.py, evaluate.py, reproduce.py
explored.py    those of `summary` and `show-examples`
chosen.py      the choice of a `best`, made again from the files of its sweeps; reproduce_rows.py, the comparison with
               the notebook; paired.py, that of runs on the same digits
commands.py    what `runs list` and `runs show` print, and the numbers of metrics.json
compare.py     what `runs compare` and a page of several runs tell; with differences.py
groups.py      what `runs compare --by` and `runs list --group` tell
tables.py      the JSON of runs, `runs export`, `runs best` and `watch --once`
checked.py     what `runs check` prints; predicted.py, what `predict` prints
drawings.py    figures as they were drawn: the SVG of a file or a page in the units of its axes
figures.py     what each figure must show, by the name of its file; with curves.py and sweep_figures.py
other_views.py the PNG beside an SVG, and the values under a page's pointer
reader.py      all checks of one run folder, and of a page of several
printed.py     all checks of what commands print of the runs of a folder
planted.py     faults for the tests that they are found
__main__.py    the same from a shell: python -m tests.contents RUN_FOLDER ...

Nothing here uses the package's functions, but for a report that the folder lacks and what commands print, and to start
TensorFlow: numpy, pandas and scipy compute.
"""

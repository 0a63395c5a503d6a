"""Read files of test cases, or say everything that is wrong with them, with line, column and the nearest name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lapse.policy.cases.language import CASE_FILE
from lapse.policy.cases.values import Case, CaseFile
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.shape import Sink, Unreadable
from lapse.policy.yaml_tree import read_tree


def read_cases(files: Mapping[str, str]) -> tuple[CaseFile, ...]:
    """The cases of `files` (text by name), by file name.

    Raises:
        PolicyErrors: with all problems of all files.
    """
    problems: list[Problem] = []
    found: list[CaseFile] = []
    for name in sorted(files):
        sink = Sink(name)
        read = _read(name, files[name], sink)
        if read is not None:
            found.append(read)
            problems += _twice(read)
        problems += sink.problems
    if problems:
        raise PolicyErrors(problems)
    return tuple(found)


def _read(name: str, text: str, sink: Sink) -> CaseFile | None:
    try:
        tree = read_tree(name, text)
        if tree is not None:
            return CASE_FILE.read(tree, sink)
        sink.problems.append(
            Problem(file=name, line=1, column=1, message="the file is empty", hint="begin with `version: 1`")
        )
    except PolicyErrors as error:
        sink.problems += [_of_cases(problem) for problem in error.problems]
    except Unreadable:
        pass
    return None


def _of_cases(problem: Problem) -> Problem:
    message = problem.message.replace("a policy file has", "a file of test cases has")
    return replace(problem, message=message.replace("used in policies", "used in test cases"))


def _twice(file: CaseFile) -> list[Problem]:
    """A name says which case failed, so each has its own."""
    first: dict[str, Case] = {}
    problems = []
    for case in file.cases:
        seen = first.setdefault(case.name, case)
        if seen is not case:
            message = f"there is a case of this name already, on line {seen.place.line}"
            problems.append(
                Problem(
                    file=file.file, line=case.place.line, column=case.place.column, message=message, hint="rename one"
                )
            )
    return problems

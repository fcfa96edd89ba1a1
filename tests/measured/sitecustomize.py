"""Has those counted, too, whose environment is a list of its own: a worker's children are given variables of Python's, and none of coverage's."""

import os

if "COVERAGE_PROCESS_CONFIG" not in os.environ and (
    told := os.environ.pop("PYTHON_COVERAGE", None)
):
    os.environ["COVERAGE_PROCESS_CONFIG"] = told
    import coverage

    coverage.process_startup()
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

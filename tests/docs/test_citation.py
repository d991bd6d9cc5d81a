"""CITATION.cff is complete, of this version, and of the date that the changelog gives; it names no place on the net."""

from __future__ import annotations

import datetime
import re
import tomllib

import yaml

from support import ROOT

TEXT = (ROOT / "CITATION.cff").read_text()
CITATION = yaml.safe_load(TEXT)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RELEASES = re.findall(r"^## \[([^\]]+)\](?: - (\S+))?", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_field_of_a_citation_is_there():
    texts = ("cff-version", "message", "title", "abstract", "license", "type")
    assert all(isinstance(CITATION[name], str) and CITATION[name].strip() for name in texts)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert all(author.get("name") or author.get("family-names") for author in CITATION["authors"])
    assert len(set(CITATION["keywords"])) == len(CITATION["keywords"]) > 3


def test_it_is_of_this_version_and_licence():
    assert str(CITATION["version"]) == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert set(PROJECT["keywords"]) <= set(CITATION["keywords"])


def test_its_date_is_that_of_the_release():
    """Before the first release it is the date of the version's last publication of boards: a real day all the same."""
    released = dict(RELEASES)
    assert PROJECT["version"] in released or "Unreleased" in released
    date = CITATION["date-released"]
    assert isinstance(date, datetime.date)
    if PROJECT["version"] in released:
        assert date.isoformat() == released[PROJECT["version"]]
    else:
        assert f"To be {PROJECT['version']}," in (ROOT / "CHANGELOG.md").read_text()
        assert datetime.date(2026, 1, 1) <= date <= datetime.datetime.now(datetime.UTC).date()


def test_it_names_no_address_and_so_does_the_package():
    assert "://" not in TEXT
    assert not {"url", "repository", "repository-code", "repository-artifact", "doi"} & CITATION.keys()
    assert "urls" not in PROJECT

"""What a search wrote is what is read: a change is noticed, named, and refused with the way out."""

import json
import os
import re

import pytest
from kit.journals import SUM, changed, sealed, unsealed
from kit.lines import event

from search.integrity.written import digests_of, journalled_digests
from search.journal.journal import FILE, Journal, read_events, replay
from search.record import WRITTEN_ONCE, read_about, read_record
from search.system.digests import file_sha256
from search.system.errors import UserError

WAYS_OUT = r"Restore the file from a copy, or begin anew with --fresh"


@pytest.fixture
def searched(filled):
    """A search with trials of every kind whose journal holds the digests of what is written once."""
    (filled.folder / "space.py").write_text("# a space\n")
    files = {name: file_sha256(filled.folder / name) for name in WRITTEN_ONCE if (filled.folder / name).exists()}
    filled.journal.append(event("session", max_trials=20, racing=True, files=files))
    filled.journal.close()
    return filled


def lines(searched):
    return (searched.folder / FILE).read_text().splitlines(keepends=True)


def rewrite(searched, some):
    (searched.folder / FILE).write_text("".join(some))


def refused(searched, match):
    with pytest.raises(UserError, match=match) as error:
        read_record(searched.folder)
    assert re.search(WAYS_OUT, str(error.value))
    return str(error.value)


# --- checksums of lines


def test_each_line_has_a_checksum_over_all_before_it(searched):
    sums = [json.loads(line)["sum"] for line in lines(searched)]
    assert len(set(sums)) == len(sums)
    assert "".join(lines(searched)) == sealed("".join(lines(searched)))


def test_a_changed_digit_is_named_by_its_line(searched):
    whole = lines(searched)
    for number, line in enumerate(whole):
        at = max(i for i, letter in enumerate(line[:-27]) if letter.isdigit())
        other = line[:at] + str((int(line[at]) + 1) % 10) + line[at + 1 :]
        rewrite(searched, [*whole[:number], other, *whole[number + 1 :]])
        refused(searched, rf"{FILE}, line {number + 1} (does not fit its checksum|has format)")


@pytest.mark.parametrize("change", ["removed", "exchanged", "repeated", "added"])
def test_a_line_out_of_its_place_is_noticed(searched, change):
    whole = lines(searched)
    some = {
        "removed": whole[:4] + whole[5:],
        "exchanged": [*whole[:4], whole[5], whole[4], *whole[6:]],
        "repeated": whole[:5] + whole[4:],
        "added": [*whole[:4], unsealed(whole[4]), *whole[4:]],
    }
    rewrite(searched, some[change])
    at = 6 if change == "repeated" else 5
    refused(searched, f"line {at} (does not fit its checksum|has no checksum)")


def test_lines_of_an_older_version_come_first_and_are_sealed_by_what_follows(searched):
    whole = unsealed("".join(lines(searched)))
    (searched.folder / FILE).write_text(whole)
    before = read_record(searched.folder).history
    journal = Journal(searched.folder)
    journal.append(event("end", reason="again"))
    journal.close()
    text = (searched.folder / FILE).read_text()
    assert text.startswith(whole)
    assert read_record(searched.folder).history.trials == before.trials
    (searched.folder / FILE).write_text(text.replace("0.5", "0.6", 1))
    refused(searched, f"line {len(lines(searched))} does not fit its checksum")
    (searched.folder / FILE).write_text(text + whole.splitlines()[0] + "\n")
    refused(searched, f"line {len(lines(searched))} has no checksum")


def test_a_journal_of_a_newer_format_is_refused_as_that(searched):
    (searched.folder / FILE).write_text("".join(lines(searched)).replace('"format": 5', '"format": 6'))
    with pytest.raises(UserError, match=r"line 1 has format 6, this version reads 5 and all before. Use the version"):
        read_record(searched.folder)


@pytest.mark.parametrize("edit", ["0.5", "0.6"])
def test_changed_line_ends_are_called_that(searched, edit):
    text = "".join(lines(searched)).replace("0.5", edit)
    (searched.folder / FILE).write_bytes(text.replace("\n", "\r\n").encode())
    refused(searched, r"line 1 ends with CRLF, but was written with LF: .* Change them back to LF")
    (searched.folder / FILE).write_bytes(text.encode())
    if edit == "0.5":
        assert len(read_record(searched.folder).history.trials) == 7
    else:
        refused(searched, "does not fit its checksum")


@pytest.mark.parametrize("ending", ["", "\r", " "])
@pytest.mark.parametrize("version", ["5", "4", "null", '"5"'])
def test_checksums_cannot_be_left_out_where_the_format_has_them(searched, ending, version):
    whole = "".join(lines(searched)).replace("0.5", "0.6").replace('"format": 5', f'"format": {version}')
    rewrite(searched, [line + ending + "\n" for line in SUM.sub("}", whole).splitlines()])
    refused(searched, "line 1 has no checksum, though lines of its format have one")


def test_a_later_session_needs_its_checksum_and_so_does_every_line_after_it(searched):
    old, new = unsealed("".join(lines(searched))), lines(searched)[0]
    rewrite(searched, [old, SUM.sub("}", new)])
    refused(searched, f"line {len(lines(searched))} has no checksum, though lines of its format have one")
    rewrite(searched, [sealed(new), old])
    refused(searched, "line 2 has no checksum, though the line before it has one")


def test_an_older_journal_may_have_any_line_ends(searched):
    (searched.folder / FILE).write_bytes(unsealed("".join(lines(searched))).replace("\n", "\r\n").encode())
    assert len(read_record(searched.folder).history.trials) == 7


# --- what cannot be, in journals whose checksums fit, as those of old versions do


def history_of(searched):
    return replay(read_events(searched.folder / FILE))


@pytest.mark.parametrize("score", ["0.1", "5", "1e308", "-0.5", "null"])
def test_a_verdict_must_follow_from_its_runs(searched, score):
    was = history_of(searched).trials["0001"].verdict.score
    changed(
        searched.folder / FILE, f'"status": "completed", "score": {was}', f'"status": "completed", "score": {score}'
    )
    assert f"whose runs give {was}" in refused(searched, r"holds the score .* for trial 0001")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"balanced_accuracy": 1.0', '"balanced_accuracy": 5.0', "balanced_accuracy 5, which is not between 0 and 1"),
        ('"accuracy": 1.0', '"accuracy": -1.0', "accuracy -1, which is not between 0 and 1"),
        ('"log_loss": ', '"log_loss": -', "log_loss -.*, which is below 0"),
        ('"balanced_accuracy": ', '"f2": ', "a run of trial 0000 on .* without balanced_accuracy"),
        ('"seconds": 1.5', '"seconds": -1.5', "that took -1.5 seconds"),
        ('"fold": "f2"', '"fold": "f{7}"', r"a run of trial 0000 on f\{7\}, which is none of the planned folds"),
        (
            '"status": "stopped", "score": 0.999',
            '"status": "stopped", "score": 5',
            "the predicted score 5 for trial 0002",
        ),
        ('"status": "failed", "score": null', '"status": "failed", "score": 0.5', "the score 0.5 for trial 0003"),
        ('"status": "duplicate", "score": 0.', '"status": "duplicate", "score": 1.', "the score 1.* for trial 0004"),
    ],
)
def test_what_cannot_be_is_named_by_its_trial(searched, old, new, words):
    changed(searched.folder / FILE, old, new)
    refused(searched, words)


def test_a_complete_trial_that_lacks_a_run_is_refused(searched):
    text = "".join(line for line in lines(searched) if '"runs/0001-6.npz"' not in line)
    (searched.folder / FILE).write_text(sealed(text))
    refused(searched, "the verdict that trial 0001 is complete, but no run of it on f2")


def test_a_true_journal_of_an_older_version_is_read(searched):
    (searched.folder / FILE).write_text(unsealed("".join(lines(searched))))
    assert len(read_record(searched.folder).history.trials) == 7


# --- files that are written once


def test_modules_of_a_space_are_what_they_were(made):
    kept = made.folder / "modules" / "helpers" / "rates.py"
    kept.parent.mkdir(parents=True)
    kept.write_text("RATE = 1e-3\n")
    files = digests_of(made.folder, ["study.json", "modules/helpers/rates.py", "modules/none.py"])
    assert files.keys() == {"study.json", "modules/helpers/rates.py"}
    made.journal.append(event("session", max_trials=20, racing=True, files=files))
    made.journal.close()
    assert read_record(made.folder).history.sessions[-1].files == files
    kept.write_text("RATE = 1e-2\n")
    refused(made, r"rates.py was changed since the search began")
    kept.unlink()
    refused(made, r"rates.py is gone")


@pytest.mark.parametrize("name", ["../elsewhere", "modules/../../elsewhere", "/etc/hostname"])
def test_no_digest_leads_out_of_the_folder(made, name):
    made.journal.append(event("session", max_trials=20, racing=True, files={name: "0" * 64}))
    made.journal.close()
    assert journalled_digests(made.folder / FILE) == {}


@pytest.mark.parametrize("name", ["study.json", "folds.csv", "space.py"])
def test_a_file_that_is_written_once_is_what_it_was(searched, name):
    path = searched.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"across", b"beside") + b"\n")
    refused(searched, rf"{name} was changed since the search began")
    path.unlink()
    refused(searched, rf"{name} is gone")
    path.write_bytes(whole)
    assert read_record(searched.folder).history.sessions[-1].files.keys() == {"study.json", "folds.csv", "space.py"}


def test_a_journal_that_names_no_digests_asks_for_none(made):
    made.journal.close()
    (made.folder / "folds.csv").unlink()
    assert read_record(made.folder).history.trials == {}


# --- a journal that is gone, or another one


@pytest.mark.parametrize("rest", [("study.json",), ("runs",), ("study.json", "runs")])
def test_a_journal_that_is_gone_is_missed(searched, rest):
    (searched.folder / FILE).unlink()
    for name in {"study.json", "runs"} - set(rest):
        path = searched.folder / name
        path.rename(searched.folder / f"was-{name}")
    with pytest.raises(UserError, match=f"{FILE} is gone, but its search had begun: {' and '.join(rest)} ") as error:
        read_about(searched.folder)
    assert re.search(WAYS_OUT, str(error.value))


def test_a_journal_that_was_emptied_is_missed(searched):
    (searched.folder / FILE).write_text("")
    refused(searched, f"{FILE} is empty, but its search had begun")


def test_a_search_that_was_killed_as_it_began_is_no_loss(made):
    made.journal.close()
    (made.folder / FILE).write_text("")
    assert read_record(made.folder).history.trials == {}


END = event("end", reason="done")


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_journal_that_another_file_takes_the_place_of_is_noticed_and_kept(made, what):
    before = made.journal.path.read_bytes()
    moved = made.journal.path.rename(made.folder / "elsewhere")
    if what == "replaced":
        made.journal.path.write_bytes(before)
    for _ in range(2):  # the end of a session tries again
        with pytest.raises(UserError, match=r"while this search ran. Its lines are now in .*rescued") as error:
            made.journal.append(END)
    kept = [path for path in made.folder.iterdir() if "rescued" in path.name]
    assert [path.read_bytes() for path in kept] == [before] == [moved.read_bytes()]
    assert f"move that file to {made.journal.path}" in str(error.value)
    made.journal.close()
    kept[0].replace(made.journal.path)
    Journal(made.folder).close()


@pytest.mark.parametrize("change", ["cut", "lengthened", "one digit"])
def test_a_journal_that_something_else_writes_to_is_noticed(made, change):
    path = made.journal.path
    text = path.read_text()
    with path.open("r+") as file:  # the same file
        file.write({"cut": "", "lengthened": f"{text}{{}}\n", "one digit": text.replace("20", "21")}[change])
        file.truncate()
    os.utime(path, ns=(1, 1))
    with pytest.raises(UserError, match=r"was changed by something else while this search ran. Restore"):
        made.journal.append(END)


def test_a_journal_that_was_only_touched_goes_on(made):
    os.utime(made.journal.path, ns=(1, 1))
    made.journal.append(END)
    assert read_record(made.folder).history.end_reason == "done"

import cv2
import numpy as np
import pytest

from odm_mmocr.rendering import load_fonts, render_strip, split_polygon
from odm_mmocr.synthesis.layout import (
    MAX_POINTS_PER_SIDE,
    Geometry,
    Occupancy,
    arrange_lines,
    draw_geometry,
    lay_out,
    rounded_box,
)

CAP = 64


def make_group(words, geometry=None, height=20.0, bounds=(400, 400), plate=None, seed=0):
    strips = [render_strip(word, load_fonts(), CAP) for word in words]
    strips, boxes = arrange_lines([strips], CAP, np.random.default_rng(seed))
    return lay_out(strips, boxes, geometry or Geometry(), height, bounds, plate)


def signed_area(polygon):
    x, y = polygon.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def test_words_of_a_line_share_their_baseline_and_lines_their_order():
    lines = [['Agg', 'xxx'], ['ÅB'], ['end', 'of', 'it']]
    strips = [[render_strip(word, load_fonts(), CAP) for word in line] for line in lines]
    words, boxes = arrange_lines(strips, CAP, np.random.default_rng(1))
    assert [word.text for word in words] == [word for line in lines for word in line]
    scales = (boxes[:, 3] - boxes[:, 1]) / [word.size[0] for word in words]
    baselines = boxes[:, 1] + scales * [word.baseline for word in words]
    assert baselines[0] == pytest.approx(baselines[1])
    assert baselines[3] == pytest.approx(baselines[5])
    assert boxes[0, 2] < boxes[1, 0]
    assert boxes[1, 3] < boxes[2, 1] < boxes[2, 3] < boxes[3, 1]
    np.testing.assert_allclose(boxes[:, :2].min(0), -boxes[:, 2:].max(0), atol=1e-9)


def test_the_lowest_word_has_the_height_asked_for_unless_it_must_fit():
    group = make_group(['xxx', 'Ågg'], height=24)
    assert min(word.height for word in group.words) == pytest.approx(24)
    corners = np.concatenate([word.polygon for word in make_group(['wide'] * 9, height=90).words])
    assert np.ptp(corners, 0)[0] == pytest.approx(400)


@pytest.mark.parametrize('turn', [-2.0, -0.5, 0.5, 2.0])
def test_an_arc_bends_the_middle_up_or_down(turn):
    group = make_group(['curved'], Geometry(turn=turn))
    polygon = group.words[0].polygon
    top, _ = split_polygon(polygon)
    assert 4 <= len(top) <= MAX_POINTS_PER_SIDE
    assert np.sign(top[[0, -1], 1].mean() - top[len(top) // 2, 1]) == np.sign(turn)
    assert signed_area(polygon) > 0


def test_drawn_geometries_keep_order_and_area():
    rng = np.random.default_rng(0)
    for i in range(200):
        geometry = draw_geometry((7.0, 1.2), i % 2 == 0, 30.0, rng)
        assert geometry.curved == (i % 2 == 0)
        for word in make_group(['some', 'words'], geometry).words:
            top, bottom = split_polygon(word.polygon)
            assert len(top) == len(bottom) >= (4 if geometry.curved else 2)
            rungs = np.stack((top[:-1], top[1:], bottom[1:], bottom[:-1]), 1)
            assert all(signed_area(cell) > 0 for cell in rungs)
            assert (
                cv2.pointPolygonTest(
                    word.polygon.astype(np.float32), word.polygon.mean(0).tolist(), False
                )
                >= 0
                or geometry.curved
            )


def test_a_board_surrounds_its_words():
    for geometry in (Geometry(yaw=0.2, angle=0.3), Geometry(turn=1.0), Geometry(wave=(0.4, 1.0))):
        group = make_group(['on', 'a', 'board'], geometry, plate=(0.3, 0.15))
        board = group.plate.astype(np.float32)
        for point in np.concatenate([word.polygon for word in group.words]):
            assert cv2.pointPolygonTest(board, point.tolist(), False) > 0


def test_a_rounded_box_stays_in_its_box_and_runs_clockwise():
    outline = rounded_box(np.array((-3.0, -1.0, 3.0, 1.0)), 5.0, 4)
    np.testing.assert_allclose([outline.min(0), outline.max(0)], [(-3, -1), (3, 1)], atol=1e-9)
    assert signed_area(outline) > 0


def test_groups_are_kept_apart_and_inside():
    rng = np.random.default_rng(0)
    occupancy = Occupancy(np.zeros((200, 300, 3), np.uint8))
    count = np.zeros((200, 300), np.uint8)
    placed = 0
    for i in range(80):
        group = make_group(['word'], Geometry(angle=i / 10, yaw=0.2), 12.0 + i % 9, (295, 195))
        before = group.words[0].polygon.copy()
        if not occupancy.place(group, rng):
            np.testing.assert_array_equal(group.words[0].polygon, before)
            continue
        placed += 1
        polygon = group.words[0].polygon
        assert (polygon >= 0).all()
        assert (polygon <= (299, 199)).all()
        mask = np.zeros_like(count)
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
        count += mask
    assert 10 < placed < 80
    assert count.max() == 1


def test_of_free_places_the_calmer_is_taken():
    image = np.zeros((256, 512, 3), np.uint8)
    image[:, 256:] = (
        np.random.default_rng(0).integers(0, 256, (32, 32, 1)).repeat(8, 0).repeat(8, 1)
    )
    sides = []
    for seed in range(30):
        group = make_group(['calm'], height=20)
        assert Occupancy(image).place(group, np.random.default_rng(seed))
        sides.append(group.words[0].polygon[:, 0].max() < 256)
    assert sum(sides) > 20

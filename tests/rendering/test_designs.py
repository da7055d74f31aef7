"""Designs: their ranges, their variety, and that the probe set is held out."""

import dataclasses

import pytest

from lossprint.rendering.designs import (
    BODY_TYPES,
    GRILLES,
    LAMPS,
    PROBE_TYPES,
    TAILS,
    Design,
    probe_designs,
    world_design,
)

WORLD = [world_design(seed, number) for seed in (0, 1) for number in range(48)]


def _measures(design: Design) -> tuple[object, ...]:
    return dataclasses.astuple(dataclasses.replace(design, name=""))


def test_probe_designs_are_the_six_named_ones():
    designs = probe_designs()
    assert tuple(designs) == ("sedan", "hatchback", "coupe", "suv", "pickup", "van")
    for name, design in designs.items():
        assert (design.name, design.body_type) == (name, name)


def test_probe_designs_are_held_out_of_the_world():
    probes = {_measures(design) for design in probe_designs().values()}
    assert probes.isdisjoint(_measures(design) for design in WORLD)
    lengths = {name: design.length for name, design in probe_designs().items()}
    for design in WORLD:
        if design.body_type in PROBE_TYPES:
            assert abs(design.length - lengths[design.body_type]) > 1e-6


def test_the_world_has_at_least_twelve_body_types_in_equal_shares():
    assert len(BODY_TYPES) >= 12
    first = [world_design(5, number).body_type for number in range(2 * len(BODY_TYPES))]
    assert sorted(first) == sorted(BODY_TYPES * 2)


def test_a_world_design_depends_on_seed_and_number_alone():
    assert world_design(3, 17) == world_design(3, 17)
    assert _measures(world_design(3, 17)) != _measures(world_design(4, 17))
    assert _measures(world_design(3, 17)) != _measures(world_design(3, 17 + len(BODY_TYPES)))
    assert world_design(0, 7).name == f"{world_design(0, 7).body_type}_007"


def test_no_two_world_designs_are_alike():
    assert len({_measures(design) for design in WORLD}) == len(WORLD)


@pytest.mark.parametrize("design", [*WORLD, *probe_designs().values()], ids=lambda d: d.name)
def test_measures_are_those_of_a_car(design: Design):
    assert 2.9 < design.length < 7.0
    assert 1.5 < design.width < 2.1
    assert 1.1 < design.height < 2.2
    assert 0 < design.cowl < design.screen_top < design.length
    assert design.screen_top < design.rear_base < design.length
    if not design.open_top:
        assert design.screen_top < design.roof_rear < design.rear_base
    assert 0 < design.clearance < design.hood_front < design.cowl_height < design.height
    assert design.front_axle - design.wheel_radius > 0
    assert design.rear_axle + design.wheel_radius < design.length
    assert all(design.screen_top < pillar < design.rear_base for pillar in design.pillars)
    assert 5 <= design.spokes <= 11
    assert design.grille in GRILLES
    assert design.lamps in LAMPS
    assert design.tails in TAILS


@pytest.mark.parametrize(("seed", "number"), [(-1, 0), (0, -2)])
def test_negative_seed_or_number_is_refused(seed: int, number: int):
    with pytest.raises(ValueError, match=f"seed={seed}, number={number}"):
        world_design(seed, number)

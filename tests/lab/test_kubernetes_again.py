# SPDX-License-Identifier: GPL-2.0-or-later
"""What other files show on a directory, again on a test API server: the main job, events, Services, claims that race.

All other lab tests run on it too: LAB_DATASTORE=kubernetes tests/lab/run."""

import contextlib
import os

import test_datastore
import test_events
import test_podcidrs
import test_pods
import test_restart
import test_services_endpoints
import test_services_outside
import test_services_select
import test_services_verdicts
from stage import Stage

LAB = {"topology": "racks", "services": True, "bfd_ms": 2000, "datastore": "kubernetes"}
SHARED = True


def setup(lab):
    lab.stage = Stage(lab)
    lab.lb_pools()


@contextlib.contextmanager
def everywhere():
    """Labs of their own that tests make are on an API server as well."""
    os.environ["LAB_DATASTORE"] = "kubernetes"
    try:
        yield
    finally:
        del os.environ["LAB_DATASTORE"]


def test_pods_reach_pods_with_their_own_addresses(lab):
    test_pods.test_pods_reach_pods_with_their_own_addresses(lab)


def test_tors_have_exactly_the_blocks(lab):
    test_pods.test_tors_have_exactly_the_blocks(lab)


def test_node_added_moved_and_removed(lab):
    test_datastore.test_node_added_moved_and_removed(lab)


def test_overlapping_and_misplaced_pools_are_refused(lab):
    test_datastore.test_overlapping_and_misplaced_pools_are_refused(lab)


def test_own_node_object_deleted_and_registered_again(lab):
    test_events.test_own_node_object_deleted_and_registered_again(lab)


def test_restart_writes_nothing(lab):
    test_restart.test_restart_writes_nothing(lab)


def test_podcidrs_are_the_blocks():
    with everywhere():
        test_podcidrs.test_podcidrs_are_the_blocks()


def test_four_agents_race_for_the_last_block():
    with everywhere():
        test_datastore.test_four_agents_race_for_the_last_block()


def test_freed_block_goes_to_who_waits_for_one():
    with everywhere():
        test_events.test_freed_block_goes_to_who_waits_for_one()


def test_with_md5_passwords():
    with everywhere():
        test_pods.test_with_md5_passwords()


def test_ipv6_only():
    with everywhere():
        test_pods.test_ipv6_only()


def test_s1_headless_external_name_and_foreign_services_are_ignored(lab):
    test_services_select.test_s1_headless_external_name_and_foreign_services_are_ignored(lab)


def test_s1_headless_slices_are_ignored(lab):
    test_services_select.test_s1_headless_slices_are_ignored(lab)


def test_s7_union_of_slices_with_numbers_of_their_own(lab):
    test_services_endpoints.test_s7_union_of_slices_with_numbers_of_their_own(lab)


def test_s12_a_change_of_the_zone_is_followed(lab):
    test_services_endpoints.test_s12_a_change_of_the_zone_is_followed(lab)


def test_s15_a_local_endpoint_comes_and_goes(lab):
    test_services_verdicts.test_s15_a_local_endpoint_comes_and_goes(lab)


def test_external_local_is_announced_by_nodes_with_ready_endpoints(lab):
    test_services_outside.test_external_local_is_announced_by_nodes_with_ready_endpoints(lab)


def test_lb_ips_are_given_out_and_kept(lab):
    test_services_outside.test_lb_ips_are_given_out_and_kept(lab)


def test_a_class_of_others_is_left_alone(lab):
    test_services_outside.test_a_class_of_others_is_left_alone(lab)

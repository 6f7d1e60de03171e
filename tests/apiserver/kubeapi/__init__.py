# SPDX-License-Identifier: GPL-2.0-or-later
"""A test API server of Kubernetes: see ../README.md."""

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every metric there is: X(identifier, name, type, labels, help). docs/metrics.md has the same table, and a test
 * holds the two together. Labels have few values each: nothing here is per Service, pod, node or route.
 */
#ifndef AGENT_DAEMON_METRICS_LIST_H
#define AGENT_DAEMON_METRICS_LIST_H

#define METRICS_PEER "peer,protocol,address,as"
#define METRICS_BFD  "protocol,address,interface"

/* Of every weftd. */
#define METRICS_COMMON(X)                                                                                  \
	X(BUILD_INFO, "weft_build_info", GAUGE, "version", "1, with the version of weftd.")                \
	X(CPU, "process_cpu_seconds_total", COUNTER, "", "CPU time of weftd, user and system.")            \
	X(RESIDENT, "process_resident_memory_bytes", GAUGE, "", "Resident memory of weftd.")               \
	X(VIRTUAL, "process_virtual_memory_bytes", GAUGE, "", "Virtual memory of weftd.")                  \
	X(FDS, "process_open_fds", GAUGE, "", "Open file descriptors of weftd.")                           \
	X(MAX_FDS, "process_max_fds", GAUGE, "", "How many file descriptors weftd may open.")              \
	X(START, "process_start_time_seconds", GAUGE, "", "When weftd started, in seconds since 1970.")    \
	X(DS_SYNCED, "weft_datastore_synced", GAUGE, "",                                                   \
	  "1 once everything in the datastore was read, or was known from an earlier life.")               \
	X(DS_STALE, "weft_datastore_stale", GAUGE, "",                                                     \
	  "1 while the datastore can not be followed: what was known last is in force.")                   \
	X(DS_AGE, "weft_datastore_age_seconds", GAUGE, "",                                                 \
	  "How old what is known of the cluster is; 0 while the datastore is followed.")                   \
	X(DS_OBJECTS, "weft_datastore_objects", GAUGE, "kind",                                             \
	  "Objects by kind, as weft has taken them in.")                                                   \
	X(DS_INVALID, "weft_datastore_invalid_objects", GAUGE, "",                                         \
	  "Reports of malformed objects that are in force; their last valid versions are.")                \
	X(DS_ANSWERS, "weft_datastore_requests_total", COUNTER, "code",                                    \
	  "Requests that the API server answered, by HTTP status.")                                        \
	X(DS_FAILURES, "weft_datastore_request_failures_total", COUNTER, "",                               \
	  "Requests to the API server that got no answer.")                                                \
	X(DS_BYTES, "weft_datastore_received_bytes_total", COUNTER, "", "Bytes that the API server sent.") \
	X(DS_FOLLOWING, "weft_datastore_watch_up", GAUGE, "collection",                                    \
	  "1 while the collection is being watched at the API server.")                                    \
	X(DS_LISTS, "weft_datastore_lists_total", COUNTER, "collection", "Listings of the collection.")    \
	X(DS_WATCHES, "weft_datastore_watches_total", COUNTER, "collection",                               \
	  "Watches of the collection that were begun: the first, and restarts.")                           \
	X(DS_EVENTS, "weft_datastore_watch_events_total", COUNTER, "collection",                           \
	  "Events that watches brought.")                                                                  \
	X(DS_EXPIRED, "weft_datastore_watch_expired_total", COUNTER, "collection",                         \
	  "Watches that the API server could not continue (410), so that all was listed again.")           \
	X(LEADER, "weft_controller_leader", GAUGE, "",                                                     \
	  "1 if this weftd is the one controller of the cluster.")                                         \
	X(LB_SERVICES, "weft_loadbalancer_services", GAUGE, "state",                                       \
	  "LoadBalancer Services by what became of their addresses; the leader only.")                     \
	X(LB_USED, "weft_loadbalancer_pool_used_addresses", GAUGE, "pool",                                 \
	  "Addresses of the pool that are assigned; the leader only.")                                     \
	X(LB_FREE, "weft_loadbalancer_pool_free_addresses", GAUGE, "pool",                                 \
	  "Addresses of the pool that are free; the leader only.")                                         \
	X(LB_CONFLICTS, "weft_loadbalancer_pool_conflicts", GAUGE, "pool",                                 \
	  "Services that keep an address which the pool does not give them any more; the leader only.")    \
	X(CONTROLLER_FAILED, "weft_controller_failed_writes", GAUGE, "",                                   \
	  "Statuses whose last write failed and is tried again.")

/* Of a weftd with the role node: BIRD. */
#define METRICS_BIRD(X)                                                                                    \
	X(BIRD_UP, "weft_bird_up", GAUGE, "", "1 if BIRD answered in time for this scrape.")               \
	X(BIRD_INFO, "weft_bird_info", GAUGE, "version", "1, with the version of BIRD.")                   \
	X(BIRD_UPTIME, "weft_bird_uptime_seconds", GAUGE, "", "How long BIRD has been running.")           \
	X(BIRD_CONFIG_AGE, "weft_bird_config_age_seconds", GAUGE, "",                                      \
	  "Time since BIRD's last reconfiguration.")                                                       \
	X(BIRD_RECOVERY, "weft_bird_graceful_recovery", GAUGE, "",                                         \
	  "1 while BIRD recovers from a graceful restart.")                                                \
	X(BIRD_CONFIG, "weft_bird_config_state", GAUGE, "state",                                           \
	  "1 for the state of BIRD's configuration: none, pending, written, loaded or refused.")           \
	X(BIRD_LOADS, "weft_bird_config_loads_total", COUNTER, "", "Configurations that BIRD has loaded.") \
	X(BIRD_REFUSALS, "weft_bird_config_refusals_total", COUNTER, "",                                   \
	  "Configurations that were refused, or could not be written.")                                    \
	X(PEER_UP, "weft_bgp_peer_up", GAUGE, METRICS_PEER, "1 if the session is Established.")            \
	X(PEER_STATE, "weft_bgp_peer_state", GAUGE, METRICS_PEER ",state",                                 \
	  "1 for the state of the session; absent: BIRD has no such session.")                             \
	X(PEER_UPTIME, "weft_bgp_peer_uptime_seconds", GAUGE, METRICS_PEER,                                \
	  "How long the session has been Established; 0 while it is not.")                                 \
	X(PEER_FLAPS, "weft_bgp_peer_flaps_total", COUNTER, METRICS_PEER,                                  \
	  "How often the session was seen to have left Established.")                                      \
	X(PEER_HOLD, "weft_bgp_peer_hold_time_seconds", GAUGE, METRICS_PEER,                               \
	  "Hold time that was negotiated; 0 while the session is down.")                                   \
	X(PEER_ERROR, "weft_bgp_peer_last_error", GAUGE, METRICS_PEER ",error",                            \
	  "1, with BIRD's words for why the session ended last; not the peer's own words.")                \
	X(PEER_ROUTES, "weft_bgp_peer_routes", GAUGE, METRICS_PEER ",family,kind",                         \
	  "Routes of the session: imported, filtered, exported, preferred.")                               \
	X(PEER_LIMIT, "weft_bgp_peer_import_limit_routes", GAUGE, METRICS_PEER ",family",                  \
	  "How many routes the peer may send, where there is a limit.")                                    \
	X(PEER_LIMIT_HIT, "weft_bgp_peer_import_limit_reached", GAUGE, METRICS_PEER ",family",             \
	  "1 if the peer sent as many routes as it may.")                                                  \
	X(PEER_CHANGES, "weft_bgp_peer_route_changes_total", COUNTER,                                      \
	  METRICS_PEER ",family,direction,change,result",                                                  \
	  "Updates and withdrawals of routes since the session came up, and what became of them.")         \
	X(BFD_UP, "weft_bfd_session_up", GAUGE, METRICS_BFD, "1 if the BFD session is Up.")                \
	X(BFD_STATE, "weft_bfd_session_state", GAUGE, METRICS_BFD ",state",                                \
	  "1 for the state of the BFD session.")                                                           \
	X(BFD_INTERVAL, "weft_bfd_session_interval_seconds", GAUGE, METRICS_BFD,                           \
	  "How often a packet is sent, as negotiated.")                                                    \
	X(BFD_TIMEOUT, "weft_bfd_session_timeout_seconds", GAUGE, METRICS_BFD,                             \
	  "After what time without a packet the session is Down.")

/* Of a weftd with the role node: the rest. */
#define METRICS_NODE(X)                                                                                 \
	X(READY, "weft_node_ready", GAUGE, "", "1 once pods can work here: the conflist is written.")   \
	X(ROUTES, "weft_routes", GAUGE, "table,kind,state",                                             \
	  "Routes that weft wants, by table, purpose and state; installed: in force.")                  \
	X(ROUTE_WRITES, "weft_route_writes_total", COUNTER, "",                                         \
	  "Changes of routes that were sent to the kernel.")                                            \
	X(ROUTE_REPAIRS, "weft_route_repairs_total", COUNTER, "",                                       \
	  "Routes of weft that somebody else removed or altered, and that are put right.")              \
	X(TUNNEL_UP, "weft_tunnel_up", GAUGE, "device", "1 if the tunnel device is as it should be.")   \
	X(TUNNEL_MTU, "weft_tunnel_mtu_bytes", GAUGE, "device", "MTU of the tunnel device.")            \
	X(TUNNEL_PEERS, "weft_tunnel_peers", GAUGE, "",                                                 \
	  "Nodes from which encapsulated packets are accepted.")                                        \
	X(NFT_ELEMENTS, "weft_nft_elements", GAUGE, "", "Elements of Services in the nftables sets.")   \
	X(NFT_REPLACEMENTS, "weft_nft_replacements_total", COUNTER, "",                                 \
	  "How often the nftables table was made anew.")                                                \
	X(NFT_UPDATES, "weft_nft_updates_total", COUNTER, "",                                           \
	  "Transactions that changed elements of nftables sets.")                                       \
	X(NFT_FAILURES, "weft_nft_failures_total", COUNTER, "",                                         \
	  "Transactions or readings of nftables that failed.")                                          \
	X(NFT_REPAIRS, "weft_nft_repairs_total", COUNTER, "",                                           \
	  "Readings that found the nftables table altered by somebody else; it is put right.")          \
	X(IPVS_UP, "weft_ipvs_available", GAUGE, "", "1 if the kernel has IPVS.")                       \
	X(IPVS_SERVICES, "weft_ipvs_services", GAUGE, "state",                                          \
	  "Virtual services that are wanted, by state.")                                                \
	X(IPVS_DESTS, "weft_ipvs_destinations", GAUGE, "",                                              \
	  "Destinations that are wanted, of all virtual services.")                                     \
	X(IPVS_WRITES, "weft_ipvs_writes_total", COUNTER, "", "Messages sent to IPVS.")                 \
	X(IPVS_REPAIRS, "weft_ipvs_repairs_total", COUNTER, "",                                         \
	  "Virtual services that somebody else removed or altered, and that are put right.")            \
	X(SERVICES, "weft_services", GAUGE, "", "Services that weft knows of.")                         \
	X(SLICES, "weft_endpointslices", GAUGE, "", "EndpointSlices that weft knows of.")               \
	X(SERVICE_PROBLEMS, "weft_service_problems", GAUGE, "",                                         \
	  "What is not served as it is written: sentences in `weftctl status`.")                        \
	X(VIPS, "weft_service_vips", GAUGE, "state",                                                    \
	  "Addresses of Services: all; announced; waiting for their route or announcement.")            \
	X(PENDING_AGE, "weft_services_pending_seconds", GAUGE, "",                                      \
	  "How long the oldest change of Services has waited for the dataplane; 0: none waits.")        \
	X(RECONCILE, "weft_reconcile_duration_seconds", HISTOGRAM, "",                                  \
	  "Time of one turn that plans what changed and writes it.")                                    \
	X(RECONCILE_FAILURES, "weft_reconcile_failures_total", COUNTER, "",                             \
	  "Failures of a kernel interface as a whole, which are followed by reading everything again.") \
	X(QUEUE, "weft_queue_depth", GAUGE, "queue", "What waits to be planned, or for an answer.")     \
	X(OVERFLOWS, "weft_netlink_overflows_total", COUNTER, "",                                       \
	  "How often notifications of the kernel were lost (ENOBUFS).")                                 \
	X(RESYNCS, "weft_kernel_resyncs_total", COUNTER, "table",                                       \
	  "How often the kernel's state was read back as a whole.")                                     \
	X(IPAM_BLOCKS, "weft_ipam_blocks", GAUGE, "pool,family", "Blocks of addresses on this node.")   \
	X(IPAM_ADDRESSES, "weft_ipam_addresses", GAUGE, "pool,family,state",                            \
	  "Addresses in those blocks, by state.")                                                       \
	X(IPAM_CLAIMS, "weft_ipam_block_claims_total", COUNTER, "result",                               \
	  "Claims of blocks: claimed; lost to another node; failed.")                                   \
	X(IPAM_RELEASES, "weft_ipam_block_releases_total", COUNTER, "result", "Releases of empty blocks.")

/* kube-proxy's names, where weft has the same. */
#define METRICS_KUBEPROXY(X)                                                                             \
	X(KP_SYNC, "kubeproxy_sync_proxy_rules_duration_seconds", HISTOGRAM, "",                         \
	  "Time of one turn that planned or wrote Services.")                                            \
	X(KP_LAST, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", GAUGE, "",                       \
	  "When the dataplane was last as all known Services want it.")                                  \
	X(KP_QUEUED, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", GAUGE, "",              \
	  "When a change of Services was last queued.")                                                  \
	X(KP_PROGRAMMING, "kubeproxy_network_programming_duration_seconds", HISTOGRAM, "",               \
	  "From the change of a pod or Service, as its EndpointSlice says, to the dataplane having it.") \
	X(KP_ENDPOINTS, "kubeproxy_sync_proxy_rules_endpoint_changes_total", COUNTER, "",                \
	  "Changes of EndpointSlices.")                                                                  \
	X(KP_ENDPOINTS_PENDING, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", GAUGE, "",        \
	  "Changes of EndpointSlices since the dataplane was last as wanted.")                           \
	X(KP_SERVICES, "kubeproxy_sync_proxy_rules_service_changes_total", COUNTER, "",                  \
	  "Changes of Services.")                                                                        \
	X(KP_SERVICES_PENDING, "kubeproxy_sync_proxy_rules_service_changes_pending", GAUGE, "",          \
	  "Changes of Services since the dataplane was last as wanted.")                                 \
	X(KP_NO_LOCAL, "kubeproxy_sync_proxy_rules_no_local_endpoints_total", GAUGE, "traffic_policy",   \
	  "Services with policy Local that have endpoints, but none on this node.")                      \
	X(KP_HEALTHZ, "kubeproxy_proxy_healthz_total", COUNTER, "code",                                  \
	  "Answers of /healthz by HTTP status.")                                                         \
	X(KP_LIVEZ, "kubeproxy_proxy_livez_total", COUNTER, "code", "Answers of /livez by HTTP status.")

#define METRICS_ALL(X) METRICS_COMMON(X) METRICS_BIRD(X) METRICS_NODE(X) METRICS_KUBEPROXY(X)

#endif

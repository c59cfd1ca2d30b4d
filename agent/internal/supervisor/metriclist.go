package supervisor

// A metric is what /metrics and docs/metrics.md say about a family.
type metric struct {
	name   string
	labels string // in order, separated by spaces
	help   string
}

// metricList has all that siemd measures itself, in the order of the page.
var metricList = []metric{
	{"siemd_input_events_total", "input", "Events that came in and are in the log."},
	{"siemd_input_bytes_total", "input", "Bytes of those events."},
	{"siemd_input_refused_total", "input reason", "Lines that could not become an event, and are kept in refused/: not_json, not_object, too_long, too_deep, too_many_keys."},
	{"siemd_input_repaired_total", "input reason", "Events in which something was mended: utf8 (bytes or surrogates that are none), duplicate_key (the last one counts)."},
	{"siemd_input_time_total", "input reason", "Events whose timestamp said too little: missing or unreadable (the time of receipt counts), no_zone (taken for UTC)."},
	{"siemd_input_lag_bytes", "input", "tail: bytes in the files that have not been read."},
	{"siemd_input_files", "input", "tail: files that are known."},
	{"siemd_input_read_bytes_total", "input", "tail: bytes read."},
	{"siemd_input_rotations_total", "input", "tail: files that were rotated away before they were finished."},
	{"siemd_input_truncations_total", "input", "tail: files that were truncated, or replaced in place."},
	{"siemd_input_suspected_losses_total", "input", "tail: files that seem to have gone, or to have been truncated, before all of them was read."},
	{"siemd_input_file_errors_total", "input", "tail: troubles with a file, each counted once."},
	{"siemd_input_files_done_total", "input", "tail: finished files that on_done deleted or archived."},
	{"siemd_input_files_refused_total", "input reason", "tail: files that are not safe to read, and are left alone."},
	{"siemd_input_requests_total", "input dialect result", "http: requests, by the dialect they speak (events, hec, bulk, otlp) and what came of them."},
	{"siemd_input_connections", "input", "http: connections that are open."},
	{"siemd_input_connections_refused_total", "input reason", "http: connections that were closed at once because there were too many: all, or of one address."},
	{"siemd_input_in_flight_bytes", "input", "http: memory that bodies of requests hold."},
	{"siemd_input_panics_total", "input", "http: requests that met a mistake in siemd. They were answered 500."},

	{"siemd_output_events_total", "output result", "Events that a connection is done with: sent, failed, filtered, expired."},
	{"siemd_output_pending_events", "output", "Events that wait to be sent."},
	{"siemd_output_oldest_pending_age_seconds", "output", "Age of the oldest event that waits; 0 if none does."},
	{"siemd_output_failed_events", "output", "Events in the failed store now."},
	{"siemd_output_up", "output", "1 while the connection works, 0 while it is held or fails."},
	{"siemd_output_request_seconds", "output", "Time from sending a batch to its answer."},
	{"siemd_output_requests_in_flight", "output", "Batches that wait for their answer."},
	{"siemd_output_retries_total", "output reason", "Batches that were not simply taken: failure (no answer, or an error), throttled (429, 503 or the like), blocked (a person has to act), " +
		"suspect (the events are blamed without a reason), refused (an event is), too_large, again (at once)."},
	{"siemd_output_splits_total", "output", "Batches that were halved to find the event that is to blame, or because they were too large."},
	{"siemd_output_ack_seconds", "output", "splunk with ack: time from sending a batch to its acknowledgement by the indexers."},
	{"siemd_output_duplicates_total", "output", "elastic: events that were there already (409), which counts as sent."},
	{"siemd_output_failure_store_total", "output", "elastic: events that went to the failure store of their data stream."},
	{"siemd_output_resent_events_total", "output", "syslog, cef, leef: events sent once more after a broken connection."},
	{"siemd_codec_repairs_total", "output reason", "What was changed to make an event fit its format: control_char, header_char, truncated, pair_dropped, not_number, " +
		"number_moved, id_hashed, route_fallback, date_clamped."},

	{"siemd_unaccounted_events", "", "Accepted less sent, failed, filtered, expired and pending, over all connections. Anything but 0 is a mistake in siemd."},

	{"siemd_wal_bytes", "", "Size of the log on disk."},
	{"siemd_wal_max_bytes", "", "Size at which the log is full."},
	{"siemd_wal_segments", "", "Files of the log."},
	{"siemd_wal_oldest_age_seconds", "", "Age of the oldest file of the log that a connection still needs; 0 if none does."},
	{"siemd_wal_fsync_seconds", "", "Time that an fsync of the log takes."},
	{"siemd_wal_corrupt_blocks_total", "", "Damaged places found in the log. Their bytes are in wal/quarantine/."},
	{"siemd_wal_lost_events_total", "", "Events that were lost with them, by the sequence numbers that are missing."},

	{"siemd_refused_lines", "", "Lines in refused/ now."},
	{"siemd_refused_bytes", "", "Size of refused/."},
	{"siemd_refused_dropped_total", "", "Refused lines that were deleted to keep refused/ below its max_size."},

	{"siemd_config_reloads_total", "result", "Attempts to change the config: applied, refused."},
	{"siemd_config_last_reload_success", "", "1 if the config on disk is the one that runs."},
	{"siemd_config_last_reload_success_timestamp_seconds", "", "When the config that runs was loaded, in seconds since 1970."},
	{"siemd_build_info", "version", "1."},
}

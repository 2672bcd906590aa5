/*
title = "Events by a lookup table that the rows are joined with"
keys = ["market"]
*/
SELECT window_start, window_end, COALESCE(m.market, 'none') AS market, COUNT(*) AS n, SUM(m.fee) AS fees, COUNT(DISTINCT e.viewer_id) AS viewers
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
LEFT JOIN markets m ON e.country = m.country AND e.event_type <> 'view.heartbeat'
GROUP BY window_start, window_end, COALESCE(m.market, 'none')

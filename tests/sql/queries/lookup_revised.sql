/*
title = "Windows that hop, of rows that find something, with what came late"
keys = ["market"]
allowed_lateness_secs = 60
*/
SELECT window_start, window_end, m.market, COUNT(*) AS n, COUNT(DISTINCT e.stream_id) AS streams
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE)) e
JOIN markets m ON e.country = m.country
GROUP BY window_start, window_end, m.market

/*
title = "A join with a constant table: names of countries"
keys = ["country"]
*/
SELECT window_start, window_end, c.country, COALESCE(n.name, 'elsewhere') AS name, c.events
FROM (
  SELECT window_start, window_end, country, COUNT(*) AS events FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE country IS NOT NULL GROUP BY window_start, window_end, country
) c
LEFT JOIN (VALUES ('DE', 'Deutschland'), ('FR', 'France'), ('BR', 'Brasil')) AS n(code, name) ON n.code = c.country

/*
title = "The most watched stream of each country"
keys = ["country"]
*/
SELECT window_start, window_end, country, stream_id, events
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, country ORDER BY events DESC, stream_id) AS place
  FROM (
    SELECT window_start, window_end, country, stream_id, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
    WHERE country IS NOT NULL AND stream_id IS NOT NULL
    GROUP BY window_start, window_end, country, stream_id
  )
)
WHERE place = 1

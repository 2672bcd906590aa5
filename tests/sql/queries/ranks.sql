/*
title = "RANK, DENSE_RANK, NTILE, PERCENT_RANK and CUME_DIST: ties are equal"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id, events, RANK() OVER (PARTITION BY window_start, window_end ORDER BY events DESC) AS rank,
  DENSE_RANK() OVER (PARTITION BY window_start, window_end ORDER BY events DESC) AS dense_rank,
  NTILE(2) OVER (PARTITION BY window_start, window_end ORDER BY events DESC, stream_id) AS half,
  PERCENT_RANK() OVER (PARTITION BY window_start, window_end ORDER BY events DESC) AS percent_rank,
  CUME_DIST() OVER (PARTITION BY window_start, window_end ORDER BY events DESC) AS cume_dist
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)

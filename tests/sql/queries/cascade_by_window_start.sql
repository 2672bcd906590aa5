/*
title = "Windows that follow each other may be told by where they begin, and a query needs no TABLE before it"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, MAX(joined) AS most
FROM TABLE(TUMBLE((
  SELECT a.window_start AS begins, a.stream_id, a.events + b.events AS joined
  FROM (
    SELECT window_start, window_end, stream_id, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
    GROUP BY window_start, window_end, stream_id
  ) a
  JOIN (
    SELECT window_start, window_end, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
    WHERE event_type = 'tip.sent'
    GROUP BY window_start, window_end
  ) b ON a.window_start = b.window_start AND a.window_end = b.window_end
), DESCRIPTOR(begins), INTERVAL '3' MINUTE))
GROUP BY window_start, window_end, stream_id
HAVING MAX(joined) > 1

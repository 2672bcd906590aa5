/*
title = "How many viewers a longer lease adds, by the minute"
*/
SELECT
  a.window_start, a.window_end, a.viewers_avg, b.viewers_avg AS longer, b.viewers_avg - a.viewers_avg AS added
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) a
JOIN TABLE(CONCURRENCY(
  TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, SESSION_TIMEOUT => INTERVAL '3' MINUTE
)) b ON a.window_start = b.window_start AND a.window_end = b.window_end

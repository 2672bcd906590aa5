/*
title = "How many windows of a second had rows, and with what is selected hidden behind the longer windows"
*/
SELECT window_start, window_end, COUNT(*) AS seconds
FROM TABLE(TUMBLE(DATA => TABLE (
  SELECT window_start, window_end, window_time
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, window_time
), TIMECOL => DESCRIPTOR(window_time), SIZE => INTERVAL '1' MINUTE))
GROUP BY window_start, window_end

/*
title = "What viewers of each stream do, by the minute: sessions, playback, chat"
keys = ["stream_id"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  stream_id,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')) AS sessions,
  COUNT(DISTINCT viewer_id) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')) AS viewers,
  COUNT(*) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')) AS events,
  COALESCE(SUM(played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS played_ms,
  COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS stall_ms,
  CAST(COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS DOUBLE)
    / NULLIF(
        COALESCE(SUM(played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0)
          + COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0),
        0) AS rebuffer_ratio,
  CAST(SUM(CAST(bitrate_kbps AS BIGINT) * played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')) AS DOUBLE)
    / NULLIF(
        SUM(played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat') AND bitrate_kbps IS NOT NULL),
        0) AS bitrate_kbps_avg,
  COUNT(*) FILTER (WHERE event_type = 'chat.message_sent') AS chat_messages,
  COUNT(DISTINCT COALESCE(viewer_id, user_id)) FILTER (WHERE event_type = 'chat.message_sent') AS chatters
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('view.started', 'view.heartbeat', 'chat.message_sent')
GROUP BY window_start, window_end, stream_id

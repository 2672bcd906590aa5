/*
title = "Functions of text"
keys = ["channel_id"]
*/
SELECT
  window_start, window_end, channel_id, upper(channel_id) AS up, reverse(channel_id) AS back, octet_length(channel_id) AS bytes,
  substr(channel_id, 2, 2) AS part, left(channel_id, 1) || right(channel_id, 1) AS ends, lpad(channel_id, 8, '*') AS padded,
  replace(channel_id, 'é', 'e') AS plain, strpos(channel_id, 'f') AS place, starts_with(channel_id, 'caf') AS coffee,
  initcap('ab cd') AS capitals, repeat('ab', 2) AS twice, btrim('  x ') AS trimmed, translate('abc', 'ac', 'xz') AS translated,
  levenshtein('kitten', 'sitting') AS distance, ascii('A') AS code, chr(9731) AS snowman, to_hex(255) AS hex,
  concat_ws('-', 'a', NULL, 'b') AS joined, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, channel_id

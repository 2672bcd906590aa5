/*
title = "Functions of numbers"
keys = ["n"]
*/
SELECT
  window_start, window_end, n, abs(n) AS magnitude, signum(n) AS direction, n % 7 AS remainder, n / 7 AS quotient, -n AS negative,
  round(CAST(n AS DOUBLE) / 7, 2) AS rounded, trunc(CAST(n AS DOUBLE) / 7) AS cut, ceil(CAST(n AS DOUBLE) / 7) AS up,
  floor(CAST(n AS DOUBLE) / 7) AS down, power(2, 10) AS power, sqrt(16) AS root, gcd(n, 1000) AS divisor, lcm(4, 6) AS multiple,
  factorial(5) AS factorial, greatest(n, 500, NULL) AS most, least(n, 500) AS fewest, n & 255 AS low_bits, n >> 4 AS shifted,
  nanvl(CAST('NaN' AS DOUBLE), 1.5) AS number, isnan(CAST('NaN' AS DOUBLE)) AS no_number
FROM (
  SELECT window_start, window_end, amount_minor AS n, COUNT(*) AS times
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
  WHERE event_type = 'tip.sent' AND amount_minor < 1000000
  GROUP BY window_start, window_end, amount_minor
)

/*
title = "Refused"
*/
SELECT TIMESTAMP '2026-01-01' AS window_start, TIMESTAMP '2026-01-02' AS window_end -- here

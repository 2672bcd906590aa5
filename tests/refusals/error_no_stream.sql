/*
title = "Refused"
*/
SELECT now() AS window_start, now() AS window_end -- here

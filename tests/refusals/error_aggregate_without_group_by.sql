/*
title = "Refused"
*/
SELECT COUNT(*) AS events -- here
FROM user_events

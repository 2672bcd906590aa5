/*
title = "Refused"
*/
DELETE FROM user_events -- here

/*
title = "Refused"
*/

-- here

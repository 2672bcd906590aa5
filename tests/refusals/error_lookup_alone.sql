/*
title = "t"
*/
SELECT tier, COUNT(*) AS n
FROM creators -- here
GROUP BY tier

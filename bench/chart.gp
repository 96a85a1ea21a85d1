# SPDX-License-Identifier: Apache-2.0
# Copyright (c) the Syncline authors
#
# The chart of docs/PERFORMANCE.md: gnuplot -e "out='FILE.svg'; data='FOLDER'" bench/chart.gp
# FOLDER holds what bench/chart.sh takes out of the JSON: compare, stages and scale, as columns.

set terminal svg size 900,1080 font "sans-serif,13" noenhanced background rgb "white"
set output out
set datafile separator "\t"
# Before any range is set, which would count.
stats data."/compare" using 2 name "compare" nooutput
stats data."/stages" using 2 name "stages" nooutput
stats data."/scale" using 1 skip 1 name "scale" nooutput

set multiplot
set grid lc rgb "#dddddd"
set border lc rgb "#888888"
set tics textcolor rgb "#222222"
set style fill solid
unset key
ours = 0x2b6cb0
theirs = 0xa0aec0

# Bars to the right, the first row on top; column 1 a label, 2 a value, 3 whether it is ours.
set boxwidth 0.6
bars = "using (column(2) / 2):(-$0):(column(2) / 2):(0.3):(column(3) == 1 ? ours : theirs):ytic(1) with boxxyerror lc rgb variable"

set lmargin at screen 0.30
set rmargin at screen 0.96
set ytics scale 0
set xtics nomirror

set tmargin at screen 0.96
set bmargin at screen 0.73
set title "In plain inserts of the same 100,000 rows: less is better"
set xrange [0:compare_max * 1.1]
set yrange [0.4 - compare_records:0.6]
plot data."/compare" @bars, '' using 2:(-$0):(sprintf(" %.2f", column(2))) with labels left

set tmargin at screen 0.66
set bmargin at screen 0.38
set title "Each stage alone, without threads: ns a record"
set xrange [0:stages_max * 1.1]
set yrange [0.4 - stages_records:0.6]
plot data."/stages" @bars, '' using 2:(-$0):(sprintf(" %.0f", column(2))) with labels left

set tmargin at screen 0.30
set bmargin at screen 0.05
set lmargin at screen 0.10
set title "As the library grows: ns a record"
set logscale x
set xrange [7000:scale_max * 1.4]
set yrange [0:*]
set ytics auto scale 1 nomirror
set xtics ("10,000" 1e4, "100,000" 1e5, "1,000,000" 1e6, "10,000,000" 1e7)
set key bottom left horizontal Left reverse
plot for [i = 2:4] data."/scale" using 1:i with linespoints lw 2 pt 7 title columnheader(i)
unset multiplot

"""Charts as places and paths: numbers in, drawing units out; `templates/chart.html` prints them.

A chart is as wide as its place: panes stretch sideways (site.css keeps the lines' width), labels
sit outside the stretched part at percentages, so text has the same size on a phone and on a wide
screen. Nothing here reads a file, a clock or a colour: paths have classes, the stylesheet gives
light and dark.
"""

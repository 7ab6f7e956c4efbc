"""The wire: signs, sends, reads answers, sorts every failure into the error tree."""

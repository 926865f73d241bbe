none-with = no note has { $words }
# For a search that found nothing: one to paste.
did-you-mean = did you mean: suibi search { $words }
did-you-mean-here = did you mean: /search { $words }

"""Is what the models are used on still what they were trained on, and does what they said come true?"""

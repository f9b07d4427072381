"""People who enrolled: consent, enrolment, the roster, erasure, and the keys that seal what is kept."""

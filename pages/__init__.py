"""The screens, one a file, and under ``parts`` what they share."""

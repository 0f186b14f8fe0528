#!/usr/bin/perl
# Eight buyers, three tickets. Usage: tickets.pl FOLDER lock|nolock
use strict;
use warnings;
use Fcntl ':flock';

my ($folder, $how) = @ARGV;
chdir $folder or die;

sub put { my ($name, $text) = @_; open my $f, '>', $name or die $!; syswrite $f, "$text\n" or die $! }
sub get { my ($name) = @_; open my $f, '<', $name or die $!; sysread $f, my $text, 4096 or die $!; return $text }

sub buyer {
    my ($name) = @_;
    my $desk;
    if ($how eq 'lock') {
        open $desk, '<', 'desk.lock' or die $!;
        flock $desk, LOCK_EX or die $!;
    }
    my $left = get('left.value');
    get('looked.barrier') if $how eq 'nolock';      # all look before anybody pays
    if ($left > 0) {
        put('left.value', $left - 1);
        put('sold.queue', $name);
    }
}

put('left.value', 3);
put('looked.barrier', 8);
open my $f, '>', $_ or die $! for 'desk.lock', 'sold.queue';
for my $i (1 .. 8) {
    next if fork;
    buyer("buyer $i");
    exit;
}
1 while wait > 0;
printf "sold %d of 3\n", -s 'sold.queue';

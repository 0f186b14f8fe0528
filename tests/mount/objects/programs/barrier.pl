#!/usr/bin/perl
# Four processes meet. Usage: barrier.pl FOLDER
use strict;
use warnings;

chdir $ARGV[0] or die;
$| = 1;

sub walker {
    my ($number) = @_;
    print "walker $number arrives\n";
    open my $barrier, '<', 'meet.barrier' or die $!;
    sysread $barrier, my $index, 64 or die $!;
    print "walker $number goes on, $index";
}

open my $barrier, '>', 'meet.barrier' or die $!;
syswrite $barrier, "4\n" or die $!;
for my $i (1 .. 4) {
    next if fork;
    walker($i);
    exit;
}
1 while wait > 0;
